//! What the exporter can be asked.

use faceofmind_db::{StoreError, export::ExportStream};
use faceofmind_model::UserId;
use faceofmind_runtime::{AskError, Message};

/// Starts an export of everything held about the user. A reader that stops reading holds the export up; dropping the stream ends it.
#[derive(Debug)]
pub struct Export {
    /// The user.
    pub user: UserId,
}

impl Message for Export {
    type Output = ExportStream;
    type Error = ExportError;
}

/// Why no export was started.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// An export of this user is in progress.
    #[error("an export of this user is in progress")]
    InProgress,
    /// [`AskError::Busy`] when, for a while, as many exports are in progress as there may be.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
