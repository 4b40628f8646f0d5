//! Mail: a durable queue of who is mailed and why, the texts, and the transport.
//!
//! The queue holds references and no text. What a mail says is decided and rendered when it is about to be sent.

mod actor;
mod compose;
mod delivery;
mod messages;
mod queue;
pub mod render;
pub mod sanitize;
pub mod template;
pub mod templates;
pub mod transport;

pub use actor::{Deps, Mailer, Status};
pub use compose::{ComposeError, ComposeFuture, Composed, ComposedMail, MailComposer};
pub use messages::{CountJobs, MailError, Poll};
pub use queue::{Cause, JobCounts, MailJob, delete_password_resets, enqueue, erase};
pub use render::{Envelope, Mail, RenderError, Renderer};
pub use template::{DeviceLogin, MailTemplate, Tries};
pub use templates::Language;
pub use transport::{SendError, SmtpSettings, SmtpTls, Transport};
