//! Detections, what is returned for them, and the rules about them. Pure.

use std::{fmt, ops::RangeInclusive, time::Duration};

use faceofmind_base::Timestamp;

use super::session::{DetectionId, SessionId};
use crate::suggestions::{Advice, crisis};

pub const MAX_DETECTIONS_PER_REQUEST: usize = 1000;
/// 2000-01-01T00:00:00Z. A client whose clock shows less has never set it.
const MIN_TIMESTAMP: Timestamp = Timestamp::from_micros(946_684_800_000_000);
/// How far a client's clock may be ahead of the service's.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// A detected emotion, and what the user said with it. Every constructor searches the texts for mentions of suicide and self-harm.
pub struct Detection {
    emotion: String,
    confidence: Option<f64>,
    voice_content: String,
    timestamp: Option<Timestamp>,
    crisis: bool,
}

/// Omits the texts.
impl fmt::Debug for Detection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detection").field("timestamp", &self.timestamp).finish_non_exhaustive()
    }
}

impl Detection {
    /// Long texts take milliseconds: see [`crisis::search`]. `emotion` has 1 to 64 characters. `voice_content` is as long as a request may be, and is empty when the user said nothing.
    pub fn new(emotion: String, voice_content: String) -> Self {
        let crisis = crisis::is_mentioned(&emotion, &voice_content);
        Self { emotion, confidence: None, voice_content, timestamp: None, crisis }
    }

    /// Sets the detector's confidence, 0 to 1.
    #[must_use]
    pub fn with_confidence(self, confidence: Option<f64>) -> Self {
        Self { confidence, ..self }
    }

    /// Sets the time of the detection. Without one, it is the time of the write.
    #[must_use]
    pub fn with_timestamp(self, timestamp: Option<Timestamp>) -> Self {
        Self { timestamp, ..self }
    }

    /// The emotion as the client sent it.
    pub fn emotion(&self) -> &str {
        &self.emotion
    }

    /// What the user said, as the client sent it; may be empty.
    pub fn voice_content(&self) -> &str {
        &self.voice_content
    }

    /// The detector's confidence, 0 to 1.
    pub fn confidence(&self) -> Option<f64> {
        self.confidence
    }

    /// Whether it mentions suicide or self-harm.
    pub fn is_crisis(&self) -> bool {
        self.crisis
    }

    pub(super) fn timestamp(&self, now: Timestamp) -> Timestamp {
        self.timestamp.unwrap_or(now)
    }
}

/// The timestamps that a detection received at `now` may have: from 2000 until five minutes ahead.
pub fn accepted_timestamps(now: Timestamp) -> RangeInclusive<Timestamp> {
    MIN_TIMESTAMP..=now + MAX_CLOCK_SKEW
}

/// The additional authenticated data of a detection's encrypted voice text: `voice_data/17`.
pub fn voice_aad(detection: DetectionId) -> String {
    format!("voice_data/{detection}")
}

/// What [`RecordDetections`](super::RecordDetections) recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Serialize, serde::Deserialize))]
pub struct DetectionsRecorded {
    /// The id of the detection, when there is exactly one.
    pub id: Option<DetectionId>,
    /// In the order in which the client sent the detections.
    pub ids: Vec<DetectionId>,
    /// Present when a detection mentions suicide or self-harm.
    pub crisis: Option<CrisisResponse>,
}

impl DetectionsRecorded {
    pub(super) fn new(ids: Vec<DetectionId>, crisis: Option<CrisisResponse>) -> Self {
        let id = if let [only] = ids[..] { Some(only) } else { None };
        Self { id, ids, crisis }
    }
}

/// What to show a user who mentioned suicide or self-harm.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Serialize, serde::Deserialize))]
pub struct CrisisResponse {
    /// Five lines that name hotlines.
    pub suggestions: Vec<String>,
    /// Web pages.
    pub urls: Vec<String>,
}

impl From<Advice> for CrisisResponse {
    fn from(Advice { lines, urls, .. }: Advice) -> Self {
        Self { suggestions: lines, urls }
    }
}

/// What [`ProcessEmotion`](super::ProcessEmotion) recorded and suggests.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct EmotionProcessed {
    pub session_id: SessionId,
    /// As the client sent it.
    pub emotion: String,
    /// As the client sent it.
    pub voice_content: String,
    /// An acknowledgement and four tips; in a crisis, hotlines.
    pub suggestions: Vec<String>,
    /// `#RRGGBB`.
    pub emotion_color: &'static str,
    /// Web pages that fit the emotion.
    pub urls: Vec<String>,
}

/// Encodes a suggestion's lines for storage: each begins with `- `.
pub(super) fn encode_lines(advice: &Advice) -> String {
    advice.lines.iter().map(|line| format!("- {line}")).collect::<Vec<_>>().join("\n")
}

/// Encodes a suggestion's web pages for storage: separated by commas, or null.
pub(super) fn encode_urls(advice: &Advice) -> Option<String> {
    (!advice.urls.is_empty()).then(|| advice.urls.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_is_stored_in_the_form_that_older_versions_read() {
        let mut advice = Advice {
            lines: vec!["I hear you.".into(), "Breathe.".into()],
            urls: vec!["https://a.example".into(), "https://b.example".into()],
            crisis: false,
        };
        assert_eq!(encode_lines(&advice), "- I hear you.\n- Breathe.");
        assert_eq!(encode_urls(&advice).as_deref(), Some("https://a.example,https://b.example"));
        advice.urls.clear();
        assert_eq!(encode_urls(&advice), None);
    }

    #[test]
    fn a_crisis_is_found_in_the_voice_text_and_in_the_emotions_name_and_debug_output_omits_both() {
        let detection = |emotion: &str, said: &str| Detection::new(emotion.into(), said.into());
        assert!(!detection("happy", "a good day").is_crisis());
        assert!(detection("sad", "I want to kill myself").is_crisis());
        assert!(detection("suicidal", "").is_crisis());
        assert_eq!(format!("{:?}", detection("sad", "a private text")), "Detection { timestamp: None, .. }");
    }

    #[test]
    fn a_clients_clock_may_be_minutes_ahead_and_not_years_behind() {
        let now = Timestamp::from_micros(1_763_925_600_000_000);
        let range = accepted_timestamps(now);
        assert!(range.contains(&now) && range.contains(&MIN_TIMESTAMP) && range.contains(&(now + MAX_CLOCK_SKEW)));
        let micro = Duration::from_micros(1);
        assert!(!range.contains(&(now + MAX_CLOCK_SKEW + micro)) && !range.contains(&(MIN_TIMESTAMP - micro)));
    }
}
