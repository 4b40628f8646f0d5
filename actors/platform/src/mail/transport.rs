//! How a mail leaves: to a mail server, or into a folder.

mod files;
mod smtp;

use std::{fmt, path::PathBuf};

use files::Files;
use smtp::Smtp;
pub use smtp::{SmtpSettings, SmtpTls};

use super::Mail;
use faceofmind_model::user::UserId;

/// Where mails go. Shared behind an `Arc`; all methods may be called at once, and dropped halfway.
#[derive(Debug)]
pub enum Transport {
    /// Into a folder, a file each.
    Files(Files),
    /// To a mail server.
    Smtp(Box<Smtp>),
}

impl Transport {
    /// Writes each mail as `<id>.<user>.eml` into `directory`, which is made when it is missing. Only we may read either.
    pub fn files(directory: impl Into<PathBuf>) -> Self {
        Self::Files(Files::new(directory.into()))
    }

    /// Sends over a few connections that are kept open between mails. Connects at the first mail. Fails when the
    /// system's root certificates cannot be used.
    pub fn smtp(settings: SmtpSettings) -> Result<Self, SendError> {
        Ok(Self::Smtp(Box::new(Smtp::new(settings)?)))
    }

    /// Hands one mail over. `Ok` means that the server, or the disk, has taken it.
    ///
    /// A mail whose answer was lost is reported [`SendError::Transient`] though it may have left: sent again, it is the
    /// same mail to whoever looks at its `Message-ID`.
    pub async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        match self {
            Self::Files(files) => files.write(mail).await,
            Self::Smtp(smtp) => smtp.send(mail).await,
        }
    }

    /// Removes what was sent about that user, where it is in our hands.
    pub async fn forget(&self, user: UserId) -> Result<(), SendError> {
        match self {
            Self::Files(files) => files.forget(user).await,
            Self::Smtp(_) => Ok(()),
        }
    }

    /// The users about whom something is in our hands.
    pub async fn written_of(&self) -> Result<Vec<UserId>, SendError> {
        match self {
            Self::Files(files) => files.written_of().await,
            Self::Smtp(_) => Ok(Vec::new()),
        }
    }

    /// Whether a mail sent now would probably be taken: the server answers, the folder can be written to.
    pub async fn check(&self) -> bool {
        match self {
            Self::Files(files) => files.is_writable().await,
            Self::Smtp(smtp) => smtp.answers().await,
        }
    }
}

/// Why a mail did not leave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The same mail may go through later.
    #[error("not sent, may be tried again: {0}")]
    Transient(Reason),
    /// This mail will never go through: the server refused it, or its recipient, for good (RFC 5321 §4.2.1, 5yz).
    #[error("refused for good: {0}")]
    Permanent(Reason),
}

impl SendError {
    /// The reason alone, for the queue's record of the mail.
    pub const fn reason(&self) -> &Reason {
        let (Self::Transient(reason) | Self::Permanent(reason)) = self;
        reason
    }
}

/// A reason that may be logged and stored: reply and status codes, and what the operating system or TLS said. Never
/// what the mail server said in words, which likes to repeat the address or the user name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    fn new(what: impl fmt::Display) -> Self {
        Self(what.to_string())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
