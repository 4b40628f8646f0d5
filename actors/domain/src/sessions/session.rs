//! What a session is, and the rules about one. No I/O.

use faceofmind_base::Timestamp;
use faceofmind_runtime::legacy::Failure;
use serde::{Deserialize, Serialize};

use faceofmind_model::UserId;
pub use faceofmind_model::{DetectionId, FeedbackId, SessionId};

/// A session as its owner sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub struct Session {
    /// Key.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// When it was started.
    pub start_time: Timestamp,
    /// When it was ended; `None` while it is open.
    pub end_time: Option<Timestamp>,
}

/// A session in a list, with the gist of what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Key.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// When it was started.
    pub start_time: Timestamp,
    /// When it was ended; `None` while it is open.
    pub end_time: Option<Timestamp>,
    /// The emotion detected most often, in lower case; of several the most recent.
    pub dominant_emotion: Option<String>,
    /// The first sentence of its first suggestion.
    pub suggestion: Option<String>,
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No such session of this user; or, when one was to be started, no such user.
    #[error("there is no such session")]
    NotFound,
    /// It has ended, and what was detected was felt after that.
    #[error("this session has ended. Start another for what is felt from now on")]
    Ended,
    /// There is feedback on sessions that have ended only.
    #[error("Session not ended yet")]
    NotEnded,
    /// There is one feedback at most.
    #[error("Feedback already submitted")]
    AlreadyRated,
    /// The idempotency key belongs to a request with another body.
    #[error("this Idempotency-Key was used with another body. Send a new key with a new request")]
    KeyReused,
    /// Not the caller's fault.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<faceofmind_db::StoreError> for SessionError {
    fn from(error: faceofmind_db::StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// The first sentence of a stored suggestion, whose lines each have `- ` before them. A sentence ends with its sign and what closes
/// behind it, or with the line.
pub(super) fn first_sentence(suggestion: &str) -> Option<String> {
    let line = lines(suggestion).next()?;
    let mut ended = false;
    for (at, sign) in line.char_indices() {
        match sign {
            '.' | '!' | '?' => ended = true,
            '。' | '！' | '？' => return Some(line[..at + sign.len_utf8()].to_owned()),
            '"' | '\'' | '”' | '’' | ')' if ended => {}
            _ if ended && sign.is_whitespace() => return Some(line[..at].to_owned()),
            _ => ended = false,
        }
    }
    Some(line.to_owned())
}

/// The lines of a stored suggestion, without the `- ` before them and without blank ones.
pub(super) fn lines(suggestion: &str) -> impl Iterator<Item = &str> {
    let lines = suggestion.lines().map(|line| line.trim().trim_start_matches('-').trim_start());
    lines.filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_ends_with_its_sign_or_its_line() {
        for (stored, first) in [
            ("- I hear you. It is hard.\n- Breathe.", "I hear you."),
            ("- Take a break\n- Call a friend.", "Take a break"),
            ("- Walk 3.5 km today! Then rest.", "Walk 3.5 km today!"),
            ("- Really?! Yes.", "Really?!"),
            ("- She said \"rest.\" So rest.", "She said \"rest.\""),
            ("- 深呼吸。散歩する。", "深呼吸。"),
            ("\n- \n- Late.", "Late."),
        ] {
            assert_eq!(first_sentence(stored).as_deref(), Some(first), "{stored:?}");
        }
        assert_eq!(first_sentence("- \n"), None);
    }
}
