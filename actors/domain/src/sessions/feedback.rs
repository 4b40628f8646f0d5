//! What a person says of a session that has ended. No I/O.

use std::fmt;

use serde::Serialize;

use super::session::{FeedbackId, SessionId};

/// A rating, and what was said with it.
pub struct Rating {
    /// Up to 2,000 characters; may be empty.
    pub comment: String,
    /// 1 to 5.
    pub rating: i32,
}

/// Shows nothing of what was said.
impl fmt::Debug for Rating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rating").field("rating", &self.rating).finish_non_exhaustive()
    }
}

/// The feedback on a session: there is one at most.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Feedback {
    /// Key.
    pub id: FeedbackId,
    /// On which session.
    pub session_id: SessionId,
    /// Up to 2,000 characters; may be empty.
    pub comment: String,
    /// 1 to 5.
    pub rating: i32,
}

/// Shows nothing of what was said.
impl fmt::Debug for Feedback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feedback").field("id", &self.id).finish_non_exhaustive()
    }
}
