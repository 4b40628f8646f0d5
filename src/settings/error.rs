//! Settings that cannot be used.

use thiserror::Error;

/// A setting that prevents the start. It never holds the value of a secret.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{setting} ({layer}): {problem}. {remedy}")]
pub struct SettingError {
    /// The setting's name in its layer: `PORT` in the environment, `port` in a file, `--port` on the command line.
    pub setting: String,
    /// Where the value stands: `environment`, a file's path and line, or `not given`.
    pub layer: String,
    /// What is wrong, without a full stop.
    pub problem: String,
    /// What to do, one or more whole sentences.
    pub remedy: String,
}

/// A problem with the effective value of the setting `key`.
pub(super) struct ConfigProblem {
    pub(super) key: &'static str,
    pub(super) problem: String,
    pub(super) remedy: String,
}
