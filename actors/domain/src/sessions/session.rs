//! Sessions as replies hold them. Pure.

use faceofmind_base::Timestamp;
use faceofmind_model::UserId;
pub use faceofmind_model::{DetectionId, FeedbackId, SessionId};

/// A session as its owner sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
#[cfg_attr(test, derive(serde::Serialize, serde::Deserialize))]
pub struct Session {
    pub id: SessionId,
    pub user_id: UserId,
    pub start_time: Timestamp,
    /// None while the session is open.
    pub end_time: Option<Timestamp>,
}

/// A session in a list, with a summary of what was recorded in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSummary {
    pub id: SessionId,
    pub user_id: UserId,
    pub start_time: Timestamp,
    /// None while the session is open.
    pub end_time: Option<Timestamp>,
    /// The emotion detected most often, in lower case. Of equally frequent emotions, the most recent.
    pub dominant_emotion: Option<String>,
    /// The first sentence of the session's first suggestion.
    pub suggestion: Option<String>,
}

/// Returns the first sentence of a stored suggestion, whose lines each begin with `- `. A sentence ends with its punctuation and closing
/// quotes, or with the line.
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

/// Yields the lines of a stored suggestion that are not blank, without their `- `.
pub(super) fn lines(suggestion: &str) -> impl Iterator<Item = &str> {
    let lines = suggestion.lines().map(|line| line.trim().trim_start_matches('-').trim_start());
    lines.filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_ends_with_its_punctuation_or_its_line() {
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
