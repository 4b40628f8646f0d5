//! Sends mails to a mail server, or writes them into a folder.

mod files;
mod smtp;

use std::{fmt, path::PathBuf};

use faceofmind_model::UserId;

pub(super) use self::smtp::MAX_CONNECTIONS;
pub use self::smtp::{SmtpSettings, SmtpTls};
use self::{files::Files, smtp::Smtp};
use super::Mail;

/// Where mails go. All methods may run concurrently, and their futures may be dropped at any point.
#[derive(Debug)]
pub enum Transport {
    /// A folder, with one file for each mail.
    Files(Files),
    /// A mail server.
    Smtp(Box<Smtp>),
}

impl Transport {
    /// Writes each mail as `<id>.<user>.eml` into `directory`, which is created when missing. Both are readable by their owner alone.
    pub fn files(directory: impl Into<PathBuf>) -> Self {
        Self::Files(Files::new(directory.into()))
    }

    /// Sends over a few connections that stay open between mails. Connects at the first mail.
    ///
    /// # Errors
    /// The system's root certificates cannot be used.
    pub fn smtp(settings: SmtpSettings) -> Result<Self, SendError> {
        Ok(Self::Smtp(Box::new(Smtp::new(settings)?)))
    }

    /// Sends one mail. `Ok` means that the server, or the file system, has accepted it.
    ///
    /// When the server's reply is lost, the error is [`SendError::Unclear`]: the mail may have been accepted. Sent again, it has the same
    /// `Message-ID`.
    pub async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        match self {
            Self::Files(files) => files.write(mail).await,
            Self::Smtp(smtp) => smtp.send(mail).await,
        }
    }

    /// Whether mails go out again after others failed, for a reason that was not theirs. True once.
    pub fn has_recovered(&self) -> bool {
        match self {
            Self::Files(_) => false,
            Self::Smtp(smtp) => smtp.has_recovered(),
        }
    }

    /// Deletes the mail files about the user. Mails that a mail server has accepted are out of reach.
    pub async fn delete_files_of(&self, user: UserId) -> Result<(), SendError> {
        match self {
            Self::Files(files) => files.delete_files_of(user).await,
            Self::Smtp(_) => Ok(()),
        }
    }

    /// Returns the users about whom there are mail files.
    pub async fn users_with_files(&self) -> Result<Vec<UserId>, SendError> {
        match self {
            Self::Files(files) => files.users().await,
            Self::Smtp(_) => Ok(Vec::new()),
        }
    }

    /// Whether a mail sent now would probably be accepted: the server responds, or the folder is writable.
    pub async fn is_up(&self) -> bool {
        match self {
            Self::Files(files) => files.is_writable().await,
            Self::Smtp(smtp) => smtp.ping().await,
        }
    }
}

/// Why a mail was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// A later attempt may succeed.
    #[error("mail not sent: {0}")]
    Transient(Reason),
    /// The mail was transmitted and its reply was lost: the server may have accepted it.
    #[error("mail perhaps sent: {0}")]
    Unclear(Reason),
    /// The server refuses this service: the login, the sender or its policy. A later attempt may succeed when an operator has corrected that.
    #[error("mail refused: {0}")]
    RefusesUs(Reason),
    /// The server refused the recipient permanently (RFC 5321 §4.2.1, 5yz).
    #[error("mail refused permanently: {0}")]
    Permanent(Reason),
}

impl SendError {
    /// The reason alone, for the mail job.
    pub const fn reason(&self) -> &Reason {
        let (Self::Transient(reason) | Self::Unclear(reason) | Self::RefusesUs(reason) | Self::Permanent(reason)) =
            self;
        reason
    }
}

/// A reason that may be logged and stored: reply and status codes, and errors of the operating system or TLS. It never holds the text of the
/// mail server's reply, which often repeats the address or the user name.
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
