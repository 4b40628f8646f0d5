//! What the rate limiter can be asked.

use std::time::Duration;

use faceofmind_runtime::{AskError, Message};

use super::{store::Reservation, window::Limit};

/// Counts one use of each key, or of none when a limit is reached. No more concurrent requests pass than a limit allows.
#[derive(Debug)]
pub struct Acquire(pub Vec<RateLimitKey>);

impl Message for Acquire {
    type Output = Reservation;
    type Error = RateLimitError;
}

/// Takes counted uses back, such as that of a right password. A counter never falls below zero, and a window that has ended is left alone.
/// A failure is logged, and the uses stay counted, so the message may be sent with `tell`.
#[derive(Debug)]
pub struct Refund(pub Reservation);

impl Message for Refund {
    type Output = ();
    type Error = AskError;
}

/// A limit and the subject for which its uses are counted.
#[derive(Clone, Debug)]
pub struct RateLimitKey {
    pub limit: Limit,
    /// An address, a client, or both. It is stored as a keyed hash only.
    pub subject: String,
}

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
