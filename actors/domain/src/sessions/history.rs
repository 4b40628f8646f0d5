//! Everything recorded in a session. Two statements, whatever the number of detections.

use std::collections::HashSet;

use faceofmind_base::{Timestamp, id};
use faceofmind_db::{Database, StoreError, with_conn};
use faceofmind_model::{UserId, emotion};
use faceofmind_platform::encryption::Keyring;
use futures_util::TryStreamExt;

use super::{
    detection::voice_aad,
    messages::SessionError,
    queries,
    session::{DetectionId, Session, SessionId, lines},
};

id! {
    /// The key of a detected face.
    FaceId
}
id! {
    /// The key of a voice text.
    VoiceId
}
id! {
    /// The key of a suggestion.
    SuggestionId
}

/// Newest first, so that the newest detections of a too long session are read. Legacy databases hold several faces, voices and suggestions of
/// one detection. The newest of each counts.
const DETECTIONS: &str = "SELECT d.id, d.timestamp, f.id AS face_id, f.emotion, v.id AS voice_id, v.content, \
    w.id AS suggestion_id, w.suggestion, w.url FROM emotion_detections d \
    LEFT JOIN facial_data f ON f.detection_id = d.id AND NOT EXISTS \
        (SELECT 1 FROM facial_data newer WHERE newer.detection_id = f.detection_id AND newer.id > f.id) \
    LEFT JOIN voice_data v ON v.detection_id = d.id AND NOT EXISTS \
        (SELECT 1 FROM voice_data newer WHERE newer.detection_id = v.detection_id AND newer.id > v.id) \
    LEFT JOIN wellness_suggestions w ON w.detection_id = d.id AND NOT EXISTS \
        (SELECT 1 FROM wellness_suggestions newer WHERE newer.detection_id = w.detection_id AND newer.id > w.id) \
    WHERE d.session_id = $1 ORDER BY d.timestamp DESC, d.id DESC";

/// What a detection without any text counts for.
const BASE_ROW_BYTES: usize = 256;

#[derive(sqlx::FromRow)]
struct Row {
    id: DetectionId,
    timestamp: Timestamp,
    face_id: Option<FaceId>,
    emotion: Option<String>,
    voice_id: Option<VoiceId>,
    content: Option<String>,
    suggestion_id: Option<SuggestionId>,
    suggestion: Option<String>,
    url: Option<String>,
}

/// A session with everything recorded in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    pub session: Session,
    /// In the order of their times, then of their ids.
    pub detections: Vec<DetectionRecord>,
    /// Whether older detections were omitted, because all of them take more memory than one response may.
    pub truncated: bool,
}

/// A detection with everything that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetectionRecord {
    pub id: DetectionId,
    pub timestamp: Timestamp,
    /// The emotion as the client sent it.
    pub face: Option<(FaceId, String)>,
    /// The decrypted voice text. None also when it cannot be decrypted, so that one lost text does not make the others unreadable.
    pub voice: Option<(VoiceId, String)>,
    pub suggestion: Option<Suggestion>,
}

/// An acknowledgement and tips.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    pub id: SuggestionId,
    /// As stored: each line begins with `- `.
    pub stored: String,
    /// Its first line.
    pub acknowledgment: String,
    /// The other lines.
    pub suggestions: Vec<String>,
    /// Web pages.
    pub urls: Vec<String>,
}

impl History {
    /// The web pages of all suggestions, each once, in the order of the suggestions.
    pub fn relevant_urls(&self) -> Vec<&str> {
        let mut known = HashSet::new();
        let suggestions = self.detections.iter().filter_map(|detection| detection.suggestion.as_ref());
        suggestions
            .flat_map(|suggestion| &suggestion.urls)
            .map(String::as_str)
            .filter(|url| known.insert(*url))
            .collect()
    }
}

impl DetectionRecord {
    /// `#RRGGBB`, also without an emotion.
    pub fn colour(&self) -> &'static str {
        emotion::colour(self.face.as_ref().map_or("", |(_, emotion)| emotion))
    }
}

impl Suggestion {
    fn read(id: SuggestionId, stored: String, urls: &str) -> Self {
        let mut lines = lines(&stored).map(str::to_owned);
        let (acknowledgment, suggestions) = (lines.next().unwrap_or_default(), lines.collect());
        let urls = urls.split(',').map(str::trim).filter(|url| !url.is_empty()).map(str::to_owned).collect();
        Self { id, stored, acknowledgment, suggestions, urls }
    }
}

impl Row {
    fn approx_bytes(&self) -> usize {
        let texts = [&self.emotion, &self.content, &self.suggestion, &self.url];
        texts.into_iter().flatten().map(String::len).sum::<usize>() + BASE_ROW_BYTES
    }

    fn decrypt(self, keyring: &Keyring) -> DetectionRecord {
        let content = self.content.and_then(|stored| decrypt_voice(keyring, self.id, &stored));
        let url = self.url.unwrap_or_default();
        let suggestion = self.suggestion_id.zip(self.suggestion);
        DetectionRecord {
            id: self.id,
            timestamp: self.timestamp,
            face: self.face_id.zip(self.emotion),
            voice: self.voice_id.zip(content),
            suggestion: suggestion.map(|(id, stored)| Suggestion::read(id, stored, &url)),
        }
    }
}

fn decrypt_voice(keyring: &Keyring, detection: DetectionId, stored: &str) -> Option<String> {
    let decrypted = keyring.decrypt(&voice_aad(detection), stored);
    decrypted.inspect_err(|error| tracing::warn!(%error, "failed to decrypt a voice text; the history omits it")).ok()
}

/// Reads a session with its newest detections, up to about `max_bytes`.
pub(super) async fn read(
    db: &Database,
    keyring: &Keyring,
    (user, id): (UserId, SessionId),
    max_bytes: usize,
) -> Result<History, SessionError> {
    let session = queries::get(db, user, id).await?;
    let (mut newest_first, truncated) = detections(db, keyring, id, max_bytes).await?;
    newest_first.reverse();
    Ok(History { session, detections: newest_first, truncated })
}

/// Returns the detections, newest first, and whether there are more.
async fn detections(
    db: &Database,
    keyring: &Keyring,
    id: SessionId,
    max_bytes: usize,
) -> Result<(Vec<DetectionRecord>, bool), StoreError> {
    let (mut detections, mut bytes) = (Vec::new(), 0);
    let mut reader = db.read_conn().await?;
    let truncated = with_conn!(reader.connection(), c => {
        let mut rows = sqlx::query_as::<_, Row>(DETECTIONS).bind(id).fetch(c);
        while let Some(row) = rows.try_next().await? {
            bytes += row.approx_bytes();
            if bytes > max_bytes && !detections.is_empty() {
                return Ok(true);
            }
            detections.push(row.decrypt(keyring));
        }
        Ok(false)
    })?;
    Ok((detections, truncated))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_is_split_into_its_lines_and_web_pages() {
        let stored = "- I hear you. It is hard.\n- Breathe.\n\n-Walk a well-known way.\nCall a friend.";
        let read = Suggestion::read(SuggestionId(1), stored.to_owned(), "https://a.example/x, https://b.example/,,");
        assert_eq!(read.acknowledgment, "I hear you. It is hard.");
        assert_eq!(read.suggestions, ["Breathe.", "Walk a well-known way.", "Call a friend."]);
        assert_eq!(read.urls, ["https://a.example/x", "https://b.example/"]);
        let empty = Suggestion::read(SuggestionId(1), String::new(), "");
        assert!(empty.acknowledgment.is_empty() && empty.suggestions.is_empty() && empty.urls.is_empty());
    }
}
