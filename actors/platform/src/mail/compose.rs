//! The interface to the code above this crate, which decides what a mail says when it is about to be sent.

use std::time::Duration;

use faceofmind_model::{Email, FoldedNotices, UserId};
use futures_util::future::BoxFuture;

use super::{MailJob, MailTemplate};

/// Decides what a queued mail says.
pub trait MailComposer: Send + Sync {
    /// Returns the mail to send, or what else becomes of the job.
    fn compose<'a>(&'a self, job: &'a MailJob) -> ComposeFuture<'a>;

    /// Whether the composer's dependencies other than the database accept writes.
    fn is_up(&self) -> BoxFuture<'_, bool>;
}

/// What [`MailComposer::compose`] returns.
pub type ComposeFuture<'a> = BoxFuture<'a, Result<Composed, ComposeError>>;

/// What becomes of a job.
#[derive(Debug)]
pub enum Composed {
    Mail(Box<ComposedMail>),
    /// Its reason is gone, or its mail would exceed a bound. The same holds for those [like it](MailJob::alike).
    Nothing,
    /// It may not be sent yet: it is put off for this time, and then sent with those [like it](MailJob::alike).
    Later(Duration),
    /// It may not be sent yet: these notices, of which it is one, are put off for this time. Where others of the kind wait already, they are
    /// added to that job.
    Fold(FoldedNotices, Duration),
}

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
