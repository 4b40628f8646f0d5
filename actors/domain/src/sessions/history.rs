//! Everything recorded in a session, in pages. Two statements a page.

use std::{collections::HashSet, sync::LazyLock};

use faceofmind_base::{Timestamp, id};
use faceofmind_db::{Database, StoreError, with_conn};
use faceofmind_model::{UserId, emotion};
use faceofmind_platform::encryption::Keyring;
use futures_util::TryStreamExt as _;

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

/// Detections in a page.
const PAGE_SIZE: usize = 256;
/// A page ends when its texts have that many bytes, even if it holds few detections. A usual page holds a third of them.
const PAGE_BYTES: usize = 256 << 10;

/// Legacy databases hold several faces, voices and suggestions of one detection. The newest of each counts.
const DETECTIONS: &str = "SELECT d.id, d.timestamp, f.id AS face_id, f.emotion, v.id AS voice_id, v.content, \
    w.id AS suggestion_id, w.suggestion, w.url FROM emotion_detections d \
    LEFT JOIN facial_data f ON f.detection_id = d.id AND NOT EXISTS \
        (SELECT 1 FROM facial_data newer WHERE newer.detection_id = f.detection_id AND newer.id > f.id) \
    LEFT JOIN voice_data v ON v.detection_id = d.id AND NOT EXISTS \
        (SELECT 1 FROM voice_data newer WHERE newer.detection_id = v.detection_id AND newer.id > v.id) \
    LEFT JOIN wellness_suggestions w ON w.detection_id = d.id AND NOT EXISTS \
        (SELECT 1 FROM wellness_suggestions newer WHERE newer.detection_id = w.detection_id AND newer.id > w.id) \
    WHERE d.session_id = $1";
static FIRST_PAGE: LazyLock<String> = LazyLock::new(|| format!("{DETECTIONS} ORDER BY d.timestamp, d.id LIMIT $2"));
static NEXT_PAGE: LazyLock<String> =
    LazyLock::new(|| format!("{DETECTIONS} AND (d.timestamp, d.id) > ($3, $4) ORDER BY d.timestamp, d.id LIMIT $2"));

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

/// A session with a page of what is recorded in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    pub session: Session,
    /// In the order of their times, then of their ids.
    pub detections: Vec<DetectionRecord>,
    /// Where the next page begins. None: this is the last one.
    pub next: Option<HistoryCursor>,
}

/// The last detection of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryCursor {
    timestamp: Timestamp,
    id: DetectionId,
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

/// The web pages of all suggestions, each once, in the order of the suggestions.
#[derive(Debug, Default)]
pub struct RelevantUrls {
    in_order: Vec<String>,
    known: HashSet<String>,
}

impl RelevantUrls {
    /// Adds those of these detections.
    pub fn add(&mut self, detections: &[DetectionRecord]) {
        let suggestions = detections.iter().filter_map(|detection| detection.suggestion.as_ref());
        for url in suggestions.flat_map(|suggestion| &suggestion.urls) {
            if self.known.insert(url.clone()) {
                self.in_order.push(url.clone());
            }
        }
    }

    /// Returns them.
    pub fn into_vec(self) -> Vec<String> {
        self.in_order
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
    /// The bytes of its texts, as stored.
    fn size(&self) -> usize {
        [&self.emotion, &self.content, &self.suggestion, &self.url].into_iter().flatten().map(String::len).sum()
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

/// Reads a session and the detections after `after`, or the first ones.
pub(super) async fn read(
    db: &Database,
    keyring: &Keyring,
    (user, id): (UserId, SessionId),
    after: Option<HistoryCursor>,
) -> Result<History, SessionError> {
    let session = queries::get(db, user, id).await?;
    let (rows, is_last) = page(db, id, after).await?;
    let last = rows.last().filter(|_| !is_last);
    let next = last.map(|&Row { timestamp, id, .. }| HistoryCursor { timestamp, id });
    Ok(History { session, detections: rows.into_iter().map(|row| row.decrypt(keyring)).collect(), next })
}

/// Returns a page, and whether it is the last one. Of a row more, which shows that another page follows, nothing is kept.
async fn page(db: &Database, session: SessionId, after: Option<HistoryCursor>) -> Result<(Vec<Row>, bool), StoreError> {
    let (mut reader, limit) = (db.read_conn().await?, PAGE_SIZE as i64 + 1);
    let page = with_conn!(reader.connection(), c => {
        let query = sqlx::query_as(if after.is_none() { FIRST_PAGE.as_str() } else { NEXT_PAGE.as_str() });
        let query = query.bind(session).bind(limit);
        let query = match after {
            None => query,
            Some(HistoryCursor { timestamp, id }) => query.bind(timestamp).bind(id),
        };
        let mut rows = query.fetch(c);
        let (mut page, mut bytes) = (Vec::new(), 0);
        loop {
            let row: Option<Row> = rows.try_next().await?;
            let Some(row) = row else { break Ok((page, true)) };
            if page.len() == PAGE_SIZE || bytes >= PAGE_BYTES {
                break Ok((page, false));
            }
            bytes += row.size();
            page.push(row);
        }
    });
    Ok(page?)
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
