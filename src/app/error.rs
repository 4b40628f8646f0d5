//! The errors of the start and of the commands.

use std::path::PathBuf;

use faceofmind_db::{StoreError, adoption::AdoptionError, migrations::MigrationError};
use faceofmind_domain::accounts::AccountError;
use faceofmind_platform::outbox::OutboxError;

use crate::{http::server::CannotListen, settings::SecretsError};

/// Why the service did not start or a command failed. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be created.
    #[error("DATA_DIR cannot be created: {0}. Choose a directory in which this user can write")]
    DataDir(#[source] std::io::Error),
    /// The secrets cannot be read or generated.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The schema of the database is not usable.
    #[error(transparent)]
    Schema(#[from] MigrationError),
    /// The times of an adopted database cannot be mended.
    #[error("--repair-times: {0}")]
    Times(#[from] AdoptionError),
    /// A setting is not usable, or its server cannot be reached.
    #[error("{setting} cannot be used: {cause}")]
    Part {
        /// The name of the setting.
        setting: &'static str,
        /// What is wrong.
        cause: String,
    },
    /// A server that a setting names does not answer.
    #[error(
        "{setting}: {cause}. Check that the server runs, that this machine reaches it, and that the setting is right"
    )]
    Unreachable {
        /// The name of the setting.
        setting: &'static str,
        /// What is wrong.
        cause: String,
    },
    /// The SQLite file of the service does not exist.
    #[error("{} does not exist yet: run `faceofmind migrate` or `faceofmind serve`, which create it", .0.display())]
    NoDatabase(PathBuf),
    /// Another process serves this SQLite file.
    #[error("{} is served by another process: stop that one, or give this one a database of its own by DATABASE_URL or DATA_DIR. \
             Several nodes share a PostgreSQL database", .0.display())]
    Served(PathBuf),
    /// An actor did not start.
    #[error("the actors did not start: {0}")]
    Actors(#[source] faceofmind_runtime::StartError),
    /// The service cannot listen on its address.
    #[error(transparent)]
    Listen(#[from] CannotListen),
    /// An account has the address of the new admin.
    #[error(
        "an account has this e-mail address: give another --email, or let an admin change the role of that account"
    )]
    AdminExists,
    /// The account was not created.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The argument is not an e-mail address.
    #[error("--email: {0}")]
    Email(&'static str),
    /// Events cannot be read.
    #[error("events cannot be read: {0}")]
    Events(#[source] OutboxError),
    /// A migration is not applied.
    #[error("the database is not up to date: run `faceofmind migrate` first")]
    Outdated,
    /// The database cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Some texts are not encrypted with the current key.
    #[error("{0}")]
    NotRotated(String),
    /// The process cannot handle a signal.
    #[error("signals cannot be handled: {0}")]
    Signals(#[source] std::io::Error),
}

impl StartError {
    pub(super) fn unreachable(setting: &'static str, cause: impl ToString) -> Self {
        Self::Unreachable { setting, cause: cause.to_string() }
    }

    pub(super) fn part(setting: &'static str) -> impl FnOnce(String) -> Self {
        move |cause| Self::Part { setting, cause }
    }
}
