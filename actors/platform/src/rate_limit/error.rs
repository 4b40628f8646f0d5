//! Why a use was not counted.

use std::time::Duration;

use faceofmind_runtime::AskError;

/// Why the uses were not counted.
#[derive(Debug, thiserror::Error)]
pub enum RateLimitError {
    #[error("rate limit reached; the next attempt is possible in {} s", retry_after.as_secs())]
    Exceeded {
        /// The time until the last of the full windows ends.
        retry_after: Duration,
    },
    /// [`AskError::Unavailable`] also where the database failed.
    #[error(transparent)]
    Ask(#[from] AskError),
}
