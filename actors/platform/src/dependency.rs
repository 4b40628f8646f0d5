//! Why another server did not do what was asked.

use faceofmind_runtime::AskError;

/// Another server is out of reach, or refused. A later try may succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{service}: {reason}")]
pub struct DependencyError {
    /// The server's name, as in logs.
    pub service: &'static str,
    /// The cause. It quotes no secret.
    pub reason: String,
}

impl From<DependencyError> for AskError {
    fn from(error: DependencyError) -> Self {
        Self::Unavailable(error.service)
    }
}
