//! How actors live. This crate knows neither SQL nor FaceofMind.
//!
//! | piece | what it gives |
//! |---|---|
//! | [`Message`], [`Handler`], [`Actor`] | a typed request, the code that answers it, and its owner |
//! | [`Handle`], [`ReplyTo`] | the one way to ask an actor, and how it replies |
//! | [`Supervisor`] | one-for-one restarts with backoff and an intensity limit, and a snapshot of the tree |
//! | [`TaskSet`], [`BackgroundTask`] | work beside the mailbox: once, or periodically |
//! | [`Batch`] | group commit: many commands in one flush |
//! | [`RuntimeMetrics`] | rate, times and outcomes of each message type |
//! | [`panics`] | what a log may say of a panic |

#![warn(missing_docs)]

pub mod actor;
mod adapter;
pub mod background_task;
pub mod batch;
pub mod error;
pub mod handle;
pub mod legacy;
pub mod message;
pub mod metrics;
pub mod panics;
pub mod supervisor;
pub mod task_set;

pub use actor::{Actor, Handler};
pub use background_task::{BackgroundTask, BackgroundTaskStatus};
pub use batch::{Batch, FlushGuard, FlushId};
pub use error::AskError;
pub use handle::Handle;
pub use message::{Message, ReplyTo};
pub use metrics::RuntimeMetrics;
pub use supervisor::{ActorState, ChildSpec, ChildStatus, RestartPolicy, Supervisor, SupervisorHandle, SupervisorSpec};
pub use task_set::TaskSet;
