//! Feedback on an ended session. Pure.

use std::fmt;

use super::session::{FeedbackId, SessionId};

/// Feedback to record.
pub struct Rating {
    /// Up to 20,000 characters; may be empty.
    pub comment: String,
    /// 1 to 5.
    pub rating: i32,
}

/// Recorded feedback. A session has at most one.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Serialize, serde::Deserialize))]
pub struct Feedback {
    pub id: FeedbackId,
    pub session_id: SessionId,
    /// Up to 20,000 characters; may be empty.
    pub comment: String,
    /// 1 to 5.
    pub rating: i32,
}

/// Omits the comment.
impl fmt::Debug for Feedback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feedback").field("id", &self.id).finish_non_exhaustive()
    }
}
