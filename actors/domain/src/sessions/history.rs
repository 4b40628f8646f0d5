//! All that was recorded in a session. Two statements, whatever the number of detections.

use std::collections::HashSet;

use faceofmind_base::{Timestamp, id};
use faceofmind_db::{Database, with_conn};
use faceofmind_runtime::legacy::Failure;
use futures_util::TryStreamExt;

use super::{
    Message, Read, Sessions,
    detection::voice_place,
    reading,
    session::{DetectionId, Session, SessionError, SessionId, lines},
};
use faceofmind_model::emotion;
use faceofmind_model::user::UserId;
use faceofmind_platform::encryption::Keyring;

id! {
    /// The key of what was seen in a face.
    FaceId
}
id! {
    /// The key of what was said.
    VoiceId
}
id! {
    /// The key of what was suggested.
    SuggestionId
}

/// Newest first, so that of a session too long to be held the newest are read. Of several faces, voices and suggestions of one detection,
/// which legacy databases hold, the newest count.
const DETECTIONS: &str = "SELECT d.id, d.timestamp, f.id AS face_id, f.emotion, v.id AS voice_id, v.content, \
    w.id AS suggestion_id, w.suggestion, w.url FROM emotion_detections d \
    LEFT JOIN facial_data f ON f.detection_id = d.id AND NOT EXISTS \
        (SELECT 1 FROM facial_data newer WHERE newer.detection_id = f.detection_id AND newer.id > f.id) \
    LEFT JOIN voice_data v ON v.detection_id = d.id AND NOT EXISTS \
        (SELECT 1 FROM voice_data newer WHERE newer.detection_id = v.detection_id AND newer.id > v.id) \
    LEFT JOIN wellness_suggestions w ON w.detection_id = d.id AND NOT EXISTS \
        (SELECT 1 FROM wellness_suggestions newer WHERE newer.detection_id = w.detection_id AND newer.id > w.id) \
    WHERE d.session_id = $1 ORDER BY d.timestamp DESC, d.id DESC";

/// What a detection without any text is taken to weigh.
const BARE: usize = 256;

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

/// A session with what was recorded in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The session.
    pub session: Session,
    /// In the order of their times, then of their ids.
    pub detections: Vec<Moment>,
    /// Whether older detections than these were left out, since all of them would take more memory than one answer may.
    pub truncated: bool,
}

/// A detection with all that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Key.
    pub id: DetectionId,
    /// When.
    pub timestamp: Timestamp,
    /// The face, and the emotion in it as it was sent.
    pub face: Option<(FaceId, String)>,
    /// What was said, in clear. `None` also where no key of ours opens it: one text that is lost does not cost its owner the others.
    pub voice: Option<(VoiceId, String)>,
    /// What was suggested.
    pub suggestion: Option<Suggestion>,
}

/// Words of comfort and tips.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// Key.
    pub id: SuggestionId,
    /// As it is stored: lines with `- ` before each.
    pub stored: String,
    /// Its first line.
    pub acknowledgment: String,
    /// The other lines.
    pub suggestions: Vec<String>,
    /// Where to read on.
    pub urls: Vec<String>,
}

impl History {
    /// Where to read on, each address once, in the order in which they were suggested.
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

impl Moment {
    /// `#RRGGBB`, also where no emotion was seen.
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
    /// Bytes that it takes, about.
    fn weight(&self) -> usize {
        let texts = [&self.emotion, &self.content, &self.suggestion, &self.url];
        texts.into_iter().flatten().map(String::len).sum::<usize>() + BARE
    }

    fn open(self, keyring: &Keyring) -> Moment {
        let content = self.content.and_then(|stored| said(keyring, self.id, &stored));
        let url = self.url.unwrap_or_default();
        let suggestion = self.suggestion_id.zip(self.suggestion);
        Moment {
            id: self.id,
            timestamp: self.timestamp,
            face: self.face_id.zip(self.emotion),
            voice: self.voice_id.zip(content),
            suggestion: suggestion.map(|(id, stored)| Suggestion::read(id, stored, &url)),
        }
    }
}

fn said(keyring: &Keyring, detection: DetectionId, stored: &str) -> Option<String> {
    let opened = keyring.open(&voice_place(detection), stored);
    opened.inspect_err(|failure| tracing::warn!(%failure, "a history lacks a text that cannot be opened")).ok()
}

impl Sessions {
    /// One session with all that was recorded in it, as far as one answer may hold it.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], also for another user's.
    pub async fn history(&self, user: UserId, id: SessionId) -> Result<History, SessionError> {
        self.address.ask(|reply| Message::Read(Read::History(user, id, reply))).await
    }
}

/// A session of the user with what was recorded in it: the newest detections, up to about so many bytes.
pub(super) async fn read(
    db: &Database,
    keyring: &Keyring,
    (user, id): (UserId, SessionId),
    largest: usize,
) -> Result<History, SessionError> {
    let session = reading::get(db, user, id).await?;
    let (mut newest_first, truncated) = detections(db, keyring, id, largest).await?;
    newest_first.reverse();
    Ok(History { session, detections: newest_first, truncated })
}

/// Newest first, and whether there are more.
async fn detections(
    db: &Database,
    keyring: &Keyring,
    id: SessionId,
    largest: usize,
) -> Result<(Vec<Moment>, bool), Failure> {
    let (mut detections, mut weight) = (Vec::new(), 0);
    let mut reader = db.read_conn().await?;
    with_conn!(reader.connection(), c => {
        let mut rows = sqlx::query_as::<_, Row>(DETECTIONS).bind(id).fetch(c);
        while let Some(row) = rows.try_next().await? {
            weight += row.weight();
            if weight > largest && !detections.is_empty() {
                return Ok((detections, true));
            }
            detections.push(row.open(keyring));
        }
    });
    Ok((detections, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_is_its_lines_and_its_addresses() {
        let stored = "- I hear you. It is hard.\n- Breathe.\n\n-Walk a well-known way.\nCall a friend.";
        let read = Suggestion::read(SuggestionId(1), stored.to_owned(), "https://a.example/x, https://b.example/,,");
        assert_eq!(read.acknowledgment, "I hear you. It is hard.");
        assert_eq!(read.suggestions, ["Breathe.", "Walk a well-known way.", "Call a friend."]);
        assert_eq!(read.urls, ["https://a.example/x", "https://b.example/"]);
        let empty = Suggestion::read(SuggestionId(1), String::new(), "");
        assert!(empty.acknowledgment.is_empty() && empty.suggestions.is_empty() && empty.urls.is_empty());
    }
}
