//! The error of the outbox.

use faceofmind_db::StoreError;

use crate::DependencyError;

/// Why events cannot be published or read.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Nats(#[from] DependencyError),
}
