//! What a detection is, what comes of one, and the rules about them. No I/O.

use std::{fmt, ops::RangeInclusive, time::Duration};

use faceofmind_base::Timestamp;
use serde::Serialize;

use super::session::{DetectionId, SessionId};
use crate::suggestions::{Advice, crisis};

/// As many detections as one call may bring.
pub const MOST_DETECTIONS: usize = 1000;
/// 2000-01-01T00:00:00Z: a clock that shows less was never set.
const EARLIEST: Timestamp = Timestamp::from_micros(946_684_800_000_000);
/// A client's clock may be so much ahead of ours.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// An emotion that was detected, and what was said with it. Whoever makes one has what was said looked through for words of suicide and
/// self-harm: there is no other way to make one.
pub struct Detection {
    emotion: String,
    confidence: Option<f64>,
    voice_content: String,
    timestamp: Option<Timestamp>,
    crisis: bool,
}

/// Shows nothing of what was said.
impl fmt::Debug for Detection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detection").field("timestamp", &self.timestamp).finish_non_exhaustive()
    }
}

impl Detection {
    /// `emotion` has 1 to 64 characters and `voice_content` up to 10,000, none when nothing was said.
    pub fn new(emotion: String, voice_content: String) -> Self {
        let crisis = crisis::speaks_of_it(&emotion) || crisis::speaks_of_it(&voice_content);
        Self { emotion, confidence: None, voice_content, timestamp: None, crisis }
    }

    /// How sure the one is who detected it, 0 to 1.
    #[must_use]
    pub fn with_confidence(self, confidence: Option<f64>) -> Self {
        Self { confidence, ..self }
    }

    /// When it was felt; unless told, when it is written.
    #[must_use]
    pub fn felt_at(self, timestamp: Option<Timestamp>) -> Self {
        Self { timestamp, ..self }
    }

    /// The emotion as it was sent.
    pub fn emotion(&self) -> &str {
        &self.emotion
    }

    /// What was said, as it was sent; may be empty.
    pub fn voice_content(&self) -> &str {
        &self.voice_content
    }

    /// How sure, 0 to 1.
    pub fn confidence(&self) -> Option<f64> {
        self.confidence
    }

    /// Whether it speaks of suicide or self-harm.
    pub fn is_crisis(&self) -> bool {
        self.crisis
    }

    /// When it was felt.
    pub(super) fn timestamp(&self, now: Timestamp) -> Timestamp {
        self.timestamp.unwrap_or(now)
    }
}

/// When a detection that comes now may have been felt: from 2000 on, and no more ahead than clocks differ.
pub(super) fn plausible(now: Timestamp) -> RangeInclusive<Timestamp> {
    EARLIEST..=now + AHEAD
}

/// Where the voice text of a detection rests, as the [`Keyring`](faceofmind_platform::encryption::Keyring) knows it: `voice_data/17`.
pub fn voice_place(detection: DetectionId) -> String {
    format!("voice_data/{detection}")
}

/// What came of a stream's detections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Detected {
    /// The only one's key, when there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<DetectionId>,
    /// Their keys, in the order in which they were sent.
    pub ids: Vec<DetectionId>,
    /// What to tell a person who spoke of suicide or self-harm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crisis: Option<Comfort>,
}

impl Detected {
    pub(super) fn new(ids: Vec<DetectionId>, crisis: Option<Comfort>) -> Self {
        let id = if let [only] = ids[..] { Some(only) } else { None };
        Self { id, ids, crisis }
    }
}

/// Words for a person in need, and where they find more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comfort {
    /// Five lines, with lines to call.
    pub suggestions: Vec<String>,
    /// Pages.
    pub urls: Vec<String>,
}

impl From<Advice> for Comfort {
    fn from(Advice { lines, urls, .. }: Advice) -> Self {
        Self { suggestions: lines, urls }
    }
}

/// What came of a detection that was processed.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Processed {
    /// In which session.
    pub session_id: SessionId,
    /// As it was sent.
    pub emotion: String,
    /// As it was sent.
    pub voice_content: String,
    /// An acknowledgement and four tips; or where to find help.
    pub suggestions: Vec<String>,
    /// `#RRGGBB`.
    pub emotion_color: &'static str,
    /// Pages that fit.
    pub urls: Vec<String>,
}

/// Shows nothing of what was said.
impl fmt::Debug for Processed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processed").field("session_id", &self.session_id).finish_non_exhaustive()
    }
}

/// How advice is stored: each line with `- ` before it.
pub(super) fn stored_lines(advice: &Advice) -> String {
    advice.lines.iter().map(|line| format!("- {line}")).collect::<Vec<_>>().join("\n")
}

/// How its pages are stored: with commas between them, or not at all.
pub(super) fn stored_urls(advice: &Advice) -> Option<String> {
    (!advice.urls.is_empty()).then(|| advice.urls.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_stored_as_older_readers_know_it() {
        let mut advice = Advice {
            lines: vec!["I hear you.".into(), "Breathe.".into()],
            urls: vec!["https://a.example".into(), "https://b.example".into()],
            crisis: false,
        };
        assert_eq!(stored_lines(&advice), "- I hear you.\n- Breathe.");
        assert_eq!(stored_urls(&advice).as_deref(), Some("https://a.example,https://b.example"));
        advice.urls.clear();
        assert_eq!(stored_urls(&advice), None);
    }

    #[test]
    fn a_crisis_shows_in_what_is_said_and_in_the_emotions_name_and_nothing_is_ever_printed() {
        let detection = |emotion: &str, said: &str| Detection::new(emotion.into(), said.into());
        assert!(!detection("happy", "a good day").is_crisis());
        assert!(detection("sad", "I want to kill myself").is_crisis());
        assert!(detection("suicidal", "").is_crisis());
        assert_eq!(format!("{:?}", detection("sad", "nobody may read this")), "Detection { timestamp: None, .. }");
    }

    #[test]
    fn clocks_may_differ_by_some_minutes_and_not_by_years() {
        let now = Timestamp::from_micros(1_763_925_600_000_000);
        let range = plausible(now);
        assert!(range.contains(&now) && range.contains(&EARLIEST) && range.contains(&(now + AHEAD)));
        let micro = Duration::from_micros(1);
        assert!(!range.contains(&(now + AHEAD + micro)) && !range.contains(&(EARLIEST - micro)));
    }
}
