//! How actors live. This crate knows neither SQL nor FaceofMind.
//!
//! | piece | what it gives |
//! |---|---|
//! | [`Message`], [`Handler`], [`Actor`] | a typed request, the code that answers it, and its owner |
//! | [`Service`], [`ServiceActor`] | the use cases of an actor that runs each request as a task, and that actor |
//! | [`Handle`], [`ReplyTo`] | the one way to ask an actor, and how it replies |
//! | [`Supervisor`] | one-for-one restarts with backoff and an intensity limit, and a snapshot of the tree |
//! | [`TaskSet`], [`BackgroundTask`] | work beside the mailbox: once, or periodically |
//! | [`Batch`] | group commit: many commands in one flush |
//! | [`ConcurrencyLimit`] | how much may be open at a time, in all and for one caller |
//! | [`KeyCounts`] | counts by key |
//! | [`FairQueue`], [`FairGate`] | a bounded queue that is fair between callers, and a gate before a scarce resource |
//! | [`RuntimeMetrics`] | rate, times and outcomes of each message type |
//! | [`panics`] | what a log may say of a panic |

#![warn(missing_docs)]

pub mod actor;
mod adapter;
pub mod background_task;
pub mod batch;
pub mod concurrency_limit;
pub mod error;
pub mod fail_point;
pub mod fair_gate;
pub mod fair_queue;
pub mod handle;
pub mod key_counts;
pub mod message;
pub mod metrics;
pub mod panics;
pub mod service;
pub mod supervisor;
pub mod task_set;

pub use actor::{Actor, Handler};
pub use adapter::StartError;
pub use background_task::{BackgroundTask, BackgroundTaskStatus};
pub use batch::{Batch, FlushGuard, FlushId};
pub use concurrency_limit::{ConcurrencyLimit, ConcurrencyPermit};
pub use error::AskError;
pub use fail_point::FailPoint;
pub use fair_gate::{FairGate, GatePass};
pub use fair_queue::{Caller, Displaced, FairQueue};
pub use handle::Handle;
pub use key_counts::KeyCounts;
pub use message::{MAX_QUEUED, Message, ReplyTo};
pub use metrics::RuntimeMetrics;
pub use service::{Service, ServiceActor, ServiceStatus};
pub use supervisor::{ActorState, ChildSpec, ChildStatus, RestartPolicy, Supervisor, SupervisorHandle, SupervisorSpec};
pub use task_set::TaskSet;
