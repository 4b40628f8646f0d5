//! What a mail says is decided above this crate, when the mail is about to be sent.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use faceofmind_base::{Clock, Rng};
use faceofmind_db::Database;
use faceofmind_model::{Email, UserId};
use faceofmind_runtime::legacy::Failure;

use super::{Intent, Letter, Renderer};

/// Decides what a queued mail says.
pub trait MailComposer: Send + Sync {
    /// Returns the mail to send, or `None` when its reason is gone or its code would exceed the quota.
    fn compose<'a>(&'a self, intent: &'a Intent) -> ComposeFuture<'a>;
}

/// What [`MailComposer::compose`] returns.
pub type ComposeFuture<'a> = Pin<Box<dyn Future<Output = Result<Option<ComposedMail>, Failure>> + Send + 'a>>;

/// A mail whose contents are decided.
#[derive(Debug)]
pub struct ComposedMail {
    /// The user whose account it is about.
    pub user: UserId,
    /// The recipient.
    pub to: Email,
    /// The recipient's language (BCP 47 tag), if set.
    pub language: Option<String>,
    /// What it says.
    pub letter: Letter,
}

/// What the mailer needs.
pub struct MailerDeps {
    /// Holds the queue.
    pub db: Database,
    /// Decides what each mail says.
    pub composer: Arc<dyn MailComposer>,
    /// Renders the texts.
    pub renderer: Renderer,
    /// Dates the mails.
    pub clock: Clock,
    /// Jitters the retries.
    pub rng: Rng,
}

impl fmt::Debug for MailerDeps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailerDeps").finish_non_exhaustive()
    }
}
