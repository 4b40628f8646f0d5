//! Why the service could not start, or a command could not be done.

use std::path::PathBuf;

use faceofmind_actors::{publisher::OutboxError, schema::SchemaError, user_registry::ChangeError};
use faceofmind_kit::Failure;

use crate::{http::server::CannotListen, settings::SecretsError};

/// What stopped the start: each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be made.
    #[error("DATA_DIR cannot be made: {0}. Choose a directory that this user may write")]
    DataDir(#[source] std::io::Error),
    /// The secrets cannot be read or made.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The database is not as it has to be.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A part cannot be reached, or its setting is not usable.
    #[error("{setting} cannot be used: {cause}")]
    Part {
        /// The setting that names it.
        setting: &'static str,
        /// What is wrong.
        cause: String,
    },
    /// Another process serves this SQLite file.
    #[error("{} is served by another process: stop that one, or give this one a database of its own by DATABASE_URL or DATA_DIR. \
             Several nodes share a PostgreSQL database", .0.display())]
    Served(PathBuf),
    /// An actor did not start.
    #[error("the actors did not start: {0}")]
    Actors(#[source] Failure),
    /// The address is taken or not ours.
    #[error(transparent)]
    Listen(#[from] CannotListen),
    /// The account was not made.
    #[error(transparent)]
    Account(#[from] ChangeError),
    /// What was typed is not an e-mail address.
    #[error("--email: {0}")]
    Email(&'static str),
    /// Events cannot be read.
    #[error("events cannot be read: {0}")]
    Events(#[source] OutboxError),
    /// A table that is looked at is not there, or not as it is looked at.
    #[error("the database is not up to date: run `faceofmind migrate` first")]
    Outdated,
    /// The database could not be read or written.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// Some texts are not sealed by today's key.
    #[error("{0}")]
    NotRotated(String),
    /// A signal cannot be listened for.
    #[error("signals cannot be listened for: {0}")]
    Signals(#[source] std::io::Error),
}

impl StartError {
    pub(super) fn part(setting: &'static str) -> impl FnOnce(String) -> Self {
        move |cause| Self::Part { setting, cause }
    }
}
