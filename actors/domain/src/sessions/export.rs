//! The user's sessions and what was recorded in them, for an export.
//!
//! Sessions are read page by page, and so are the detections of a page of sessions. Each statement reads few rows by an index, and memory
//! holds one page.

use std::{collections::HashMap, sync::LazyLock};

use faceofmind_base::Timestamp;
use faceofmind_db::{
    BulkStatement, Snapshot, StoreError,
    export::{ExportAborted, JsonWriter, PAGE_SIZE, read_page},
    pad_with_nulls, with_conn,
};
use faceofmind_model::UserId;
use faceofmind_platform::encryption::Keyring;
use serde::Serialize;
use sqlx::{FromRow, postgres::PgRow, sqlite::SqliteRow};

use super::{
    detection::voice_aad,
    history::{FaceId, SuggestionId, VoiceId},
    session::{DetectionId, FeedbackId, SessionId},
};

const SESSIONS: &str =
    "SELECT id, start_time, end_time FROM sessions WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3";
/// The detections of one session after a timestamp and an id.
const NEXT_IN_SESSION: &str = "SELECT d.session_id, d.id, d.timestamp, x.confidence FROM emotion_detections d \
    LEFT JOIN detection_details x ON x.detection_id = d.id \
    WHERE d.session_id = $1 AND d.timestamp >= $2 AND (d.timestamp > $2 OR d.id > $3) \
    ORDER BY d.timestamp, d.id LIMIT $4";
/// The first detections of the sessions after one session, up to another.
const FIRST_IN_SESSIONS: &str = "SELECT d.session_id, d.id, d.timestamp, x.confidence FROM sessions s \
    JOIN emotion_detections d ON d.session_id = s.id LEFT JOIN detection_details x ON x.detection_id = d.id \
    WHERE s.user_id = $1 AND s.id > $2 AND s.id <= $3 ORDER BY s.id, d.timestamp, d.id LIMIT $4";

/// Voice texts in memory. One may have 1 MiB.
const LONG_TEXTS: usize = 16;

static FEEDBACK: LazyLock<BulkStatement> =
    LazyLock::new(|| select("session_id, id, comment, rating FROM feedback WHERE session_id"));
static FACES: LazyLock<BulkStatement> =
    LazyLock::new(|| select("detection_id, id, emotion FROM facial_data WHERE detection_id"));
static VOICES: LazyLock<BulkStatement> =
    LazyLock::new(|| select("detection_id, id, content FROM voice_data WHERE detection_id"));
static SUGGESTIONS: LazyLock<BulkStatement> =
    LazyLock::new(|| select("detection_id, id, suggestion, url FROM wellness_suggestions WHERE detection_id"));

fn select(columns_of_owner: &str) -> BulkStatement {
    BulkStatement::new(&format!("SELECT {columns_of_owner} IN (VALUES {{rows}}) ORDER BY id"), 1, 1)
}

#[derive(FromRow, Serialize)]
struct SessionExport {
    id: SessionId,
    start_time: Timestamp,
    end_time: Option<Timestamp>,
    #[sqlx(skip)]
    feedback: Vec<FeedbackExport>,
}

#[derive(FromRow, Serialize)]
struct FeedbackExport {
    #[serde(skip)]
    session_id: SessionId,
    id: FeedbackId,
    comment: String,
    rating: i32,
}

#[derive(FromRow, Serialize)]
struct DetectionExport {
    id: DetectionId,
    session_id: SessionId,
    timestamp: Timestamp,
    confidence: Option<f64>,
    #[sqlx(skip)]
    facial_data: Vec<FaceExport>,
    #[sqlx(skip)]
    voice_data: Vec<VoiceExport>,
    #[sqlx(skip)]
    wellness_suggestions: Vec<SuggestionExport>,
}

#[derive(FromRow, Serialize)]
struct FaceExport {
    #[serde(skip)]
    detection_id: DetectionId,
    id: FaceId,
    emotion: String,
}

#[derive(FromRow, Serialize)]
struct VoiceExport {
    #[serde(skip)]
    detection_id: DetectionId,
    id: VoiceId,
    /// The decrypted text. Null when it cannot be decrypted, so that one lost text does not make the others unreadable.
    content: Option<String>,
}

#[derive(FromRow, Serialize)]
struct SuggestionExport {
    #[serde(skip)]
    detection_id: DetectionId,
    id: SuggestionId,
    suggestion: String,
    url: Option<String>,
}

/// Writes the arrays `sessions`, with feedback, and `emotion_detections`.
pub async fn export(
    snapshot: &mut Snapshot,
    keyring: &Keyring,
    user: UserId,
    writer: &mut JsonWriter,
) -> Result<(), ExportAborted> {
    sessions(snapshot, user, writer).await?;
    let mut list = writer.array("emotion_detections")?;
    let mut pager = DetectionPager { user, after: START, last_session: SessionId(0) };
    while pager.next_sessions(snapshot).await? {
        loop {
            let detections = pager.next_page(snapshot).await?;
            if detections.is_empty() {
                break;
            }
            let mut detections = detections.into_iter();
            loop {
                let few: Vec<_> = detections.by_ref().take(LONG_TEXTS).collect();
                if few.is_empty() {
                    break;
                }
                for detection in with_children(snapshot, keyring, few).await? {
                    list.item(&detection).await?;
                }
            }
        }
    }
    list.close();
    Ok(())
}

async fn sessions(snapshot: &mut Snapshot, user: UserId, writer: &mut JsonWriter) -> Result<(), ExportAborted> {
    let mut list = writer.array("sessions")?;
    let mut after = SessionId(0);
    loop {
        let mut sessions: Vec<SessionExport> = read_page(snapshot, SESSIONS, user, after.0).await?;
        let Some(last) = sessions.last() else { break };
        after = last.id;
        let ids: Vec<i64> = sessions.iter().map(|session| session.id.0).collect();
        let mut feedback =
            children(snapshot, &FEEDBACK, &ids, |feedback: &FeedbackExport| feedback.session_id.0).await?;
        for session in &mut sessions {
            session.feedback = feedback.remove(&session.id.0).unwrap_or_default();
            list.item(session).await?;
        }
    }
    list.close();
    Ok(())
}

type Cursor = (SessionId, Timestamp, DetectionId);
const START: Cursor = (SessionId(0), Timestamp::from_micros(i64::MIN), DetectionId(0));

/// Reads the detections of all sessions, page by page.
struct DetectionPager {
    user: UserId,
    /// The last detection that was read.
    after: Cursor,
    /// The last of the sessions whose detections are being read.
    last_session: SessionId,
}

impl DetectionPager {
    /// Moves to the next page of sessions. Returns false when there is none.
    async fn next_sessions(&mut self, snapshot: &mut Snapshot) -> Result<bool, StoreError> {
        let sessions: Vec<SessionExport> = read_page(snapshot, SESSIONS, self.user, self.last_session.0).await?;
        let Some(last) = sessions.last() else { return Ok(false) };
        self.after = (self.last_session, START.1, START.2);
        self.last_session = last.id;
        Ok(true)
    }

    /// Returns the next detections of these sessions, none at their end.
    async fn next_page(&mut self, snapshot: &mut Snapshot) -> Result<Vec<DetectionExport>, StoreError> {
        let (session, timestamp, detection) = self.after;
        let mut rows: Vec<DetectionExport> = Vec::new();
        if timestamp != START.1 {
            rows = with_conn!(snapshot.connection(), c => sqlx::query_as(NEXT_IN_SESSION)
                .bind(session).bind(timestamp).bind(detection).bind(PAGE_SIZE as i64).fetch_all(c).await)?;
        }
        if rows.is_empty() {
            rows = with_conn!(snapshot.connection(), c => sqlx::query_as(FIRST_IN_SESSIONS)
                .bind(self.user).bind(session).bind(self.last_session).bind(PAGE_SIZE as i64).fetch_all(c).await)?;
        }
        if let Some(last) = rows.last() {
            self.after = (last.session_id, last.timestamp, last.id);
        }
        Ok(rows)
    }
}

/// Adds to the detections everything that belongs to them.
async fn with_children(
    snapshot: &mut Snapshot,
    keyring: &Keyring,
    mut detections: Vec<DetectionExport>,
) -> Result<Vec<DetectionExport>, StoreError> {
    let ids: Vec<i64> = detections.iter().map(|detection| detection.id.0).collect();
    let mut faces = children(snapshot, &FACES, &ids, |face: &FaceExport| face.detection_id.0).await?;
    let mut voices = children(snapshot, &VOICES, &ids, |voice: &VoiceExport| voice.detection_id.0).await?;
    let mut suggestions =
        children(snapshot, &SUGGESTIONS, &ids, |suggestion: &SuggestionExport| suggestion.detection_id.0).await?;
    for detection in &mut detections {
        detection.facial_data = faces.remove(&detection.id.0).unwrap_or_default();
        detection.voice_data = voices.remove(&detection.id.0).unwrap_or_default();
        detection.wellness_suggestions = suggestions.remove(&detection.id.0).unwrap_or_default();
        detection.voice_data.iter_mut().for_each(|voice| voice.decrypt(keyring));
    }
    Ok(detections)
}

impl VoiceExport {
    fn decrypt(&mut self, keyring: &Keyring) {
        let Some(stored) = self.content.take() else { return };
        match keyring.decrypt(&voice_aad(self.detection_id), &stored) {
            Ok(text) => self.content = Some(text),
            Err(error) => tracing::warn!(%error, "failed to decrypt a voice text; the export omits it"),
        }
    }
}

/// Reads the rows that belong to these owners, by owner.
async fn children<R>(
    snapshot: &mut Snapshot,
    statement: &'static BulkStatement,
    owners: &[i64],
    owner: fn(&R) -> i64,
) -> Result<HashMap<i64, Vec<R>>, StoreError>
where
    R: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
{
    let rows: Vec<R> = with_conn!(snapshot.connection(), c => {
        let mut query = sqlx::query_as(statement.sql(owners.len()));
        for owner in pad_with_nulls(owners.iter().copied()) {
            query = query.bind(owner);
        }
        query.fetch_all(c).await
    })?;
    let mut by_owner: HashMap<i64, Vec<R>> = HashMap::new();
    for row in rows {
        by_owner.entry(owner(&row)).or_default().push(row);
    }
    Ok(by_owner)
}
