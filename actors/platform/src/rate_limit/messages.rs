//! What the rate limiter can be asked.

use faceofmind_runtime::{AskError, Message};

use super::{error::RateLimitError, store::Reservation, window::Limit};

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
