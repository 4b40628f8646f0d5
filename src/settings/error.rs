//! A setting that cannot be used.

use thiserror::Error;

/// One setting that stops the start: named with its layer, what was wrong (never the value of a secret) and what to do.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{setting} ({layer}): {problem}. {remedy}")]
pub struct SettingError {
    /// The name under which the layer has it: `PORT` in the environment, `port` in a file, `--port` on the command line.
    pub setting: String,
    /// Where it was found: `environment`, a file's path and line; or that it was not given.
    pub layer: String,
    /// What is wrong with it, without a full stop.
    pub problem: String,
    /// What to do, one or more whole sentences.
    pub remedy: String,
}
