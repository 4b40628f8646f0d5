//! Why an actor or its store could not do what was asked, through no fault of the caller.

/// The part of every room's errors that says nothing about the request: it may be sent again.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The mailbox holds as many letters as it may.
    #[error("{0} is busy: its mailbox is full")]
    Busy(&'static str),
    /// The actor is not running: being restarted, or stopped; or it died with the letter in hand.
    #[error("{0} is not running")]
    Unavailable(&'static str),
    /// The answer did not come within the deadline.
    #[error("{0} did not answer in time")]
    TimedOut(&'static str),
    /// The database refused or could not be reached.
    #[error("the database: {0}")]
    Store(#[from] sqlx::Error),
    /// Another service (Redis, NATS, SMTP) refused or could not be reached.
    #[error("{service}: {reason}")]
    Dependency {
        /// Which one.
        service: &'static str,
        /// What it, or its client, said.
        reason: String,
    },
}

impl Failure {
    /// Whether the same request may well succeed a moment later; the rest are defects of ours.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => !matches!(
                error,
                sqlx::Error::ColumnDecode { .. }
                    | sqlx::Error::ColumnNotFound(_)
                    | sqlx::Error::Decode(_)
                    | sqlx::Error::Encode(_)
                    | sqlx::Error::TypeNotFound { .. }
            ),
            _ => true,
        }
    }
}
