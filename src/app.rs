//! The one place that knows every part.

use std::process::ExitCode;

use secrecy::SecretString;
use thiserror::Error;

use crate::settings::Settings;

/// What stops a command.
#[derive(Debug, Error)]
#[error("this build has no service yet")]
pub(crate) struct AppError;

/// What `migrate` is to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MigrateAction {
    /// Bring the database up to date.
    Up,
    /// List the steps and which are taken.
    Status,
    /// Take back the last step.
    Down {
        /// Even where data is lost.
        force: bool,
    },
}

/// An admin to be.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "nobody makes admins until the service stands")]
pub(crate) struct NewAdmin {
    pub(crate) email: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) password: SecretString,
}

pub(crate) async fn serve(_settings: Settings) -> Result<ExitCode, AppError> {
    Err(AppError)
}

pub(crate) async fn migrate(_settings: &Settings, _action: MigrateAction) -> Result<ExitCode, AppError> {
    Err(AppError)
}

pub(crate) async fn create_admin(_settings: &Settings, _admin: NewAdmin) -> Result<ExitCode, AppError> {
    Err(AppError)
}
