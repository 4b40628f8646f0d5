//! The interface to the code above this crate, which decides what a mail says when it is about to be sent.

use faceofmind_model::{Email, UserId};
use futures_util::future::BoxFuture;

use super::{MailJob, MailTemplate};

/// Decides what a queued mail says.
pub trait MailComposer: Send + Sync {
    /// Returns the mail to send, or `None` when its reason is gone or its code would exceed the quota.
    fn compose<'a>(&'a self, job: &'a MailJob) -> ComposeFuture<'a>;
}

/// What [`MailComposer::compose`] returns.
pub type ComposeFuture<'a> = BoxFuture<'a, Result<Option<ComposedMail>, ComposeError>>;

/// Why a mail could not be composed. A later attempt may succeed.
pub type ComposeError = Box<dyn std::error::Error + Send + Sync>;

/// A mail whose contents are decided.
#[derive(Debug)]
pub struct ComposedMail {
    /// The user whose account it is about.
    pub user: UserId,
    pub to: Email,
    /// The recipient's language (BCP 47 tag), if set.
    pub language: Option<String>,
    pub template: MailTemplate,
}
