//! What a user's export tells of their sessions and what was recorded in them.
//!
//! Sessions are read page by page, and the detections of a page of sessions page by page likewise: whatever the number and the spread of
//! either, a statement reads few rows by an index, and a page is all that is held.

use std::{collections::HashMap, sync::LazyLock};

use faceofmind_base::Timestamp;
use faceofmind_db::{BulkStatement, Snapshot, pad_with_nulls, with_conn};
use faceofmind_runtime::legacy::Failure;
use serde::Serialize;
use sqlx::{FromRow, postgres::PgRow, sqlite::SqliteRow};

use super::{
    detection::voice_place,
    history::{FaceId, SuggestionId, VoiceId},
    session::{DetectionId, FeedbackId, SessionId},
};
use faceofmind_db::export::{ExportAborted, JsonWriter, PAGE_SIZE, read_page};
use faceofmind_model::user::UserId;
use faceofmind_platform::encryption::Keyring;

const SESSIONS: &str =
    "SELECT id, start_time, end_time FROM sessions WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3";
/// Those of one session that come after a moment and a key.
const GOING_ON: &str = "SELECT d.session_id, d.id, d.timestamp, x.confidence FROM emotion_detections d \
    LEFT JOIN detection_details x ON x.detection_id = d.id \
    WHERE d.session_id = $1 AND d.timestamp >= $2 AND (d.timestamp > $2 OR d.id > $3) \
    ORDER BY d.timestamp, d.id LIMIT $4";
/// The first of the sessions that come after one, up to another.
const BEGINNING: &str = "SELECT d.session_id, d.id, d.timestamp, x.confidence FROM sessions s \
    JOIN emotion_detections d ON d.session_id = s.id LEFT JOIN detection_details x ON x.detection_id = d.id \
    WHERE s.user_id = $1 AND s.id > $2 AND s.id <= $3 ORDER BY s.id, d.timestamp, d.id LIMIT $4";

static FEEDBACK: LazyLock<BulkStatement> = LazyLock::new(|| {
    BulkStatement::new(
        "SELECT session_id, id, comment, rating FROM feedback WHERE session_id IN (VALUES {rows}) ORDER BY id",
        1,
        1,
    )
});
static FACES: LazyLock<BulkStatement> = LazyLock::new(|| {
    BulkStatement::new(
        "SELECT detection_id, id, emotion FROM facial_data WHERE detection_id IN (VALUES {rows}) ORDER BY id",
        1,
        1,
    )
});
static VOICES: LazyLock<BulkStatement> = LazyLock::new(|| {
    BulkStatement::new(
        "SELECT detection_id, id, content FROM voice_data WHERE detection_id IN (VALUES {rows}) ORDER BY id",
        1,
        1,
    )
});
static SUGGESTIONS: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "SELECT detection_id, id, suggestion, url FROM wellness_suggestions \
               WHERE detection_id IN (VALUES {rows}) ORDER BY id";
    BulkStatement::new(sql, 1, 1)
});

#[derive(FromRow, Serialize)]
struct Sitting {
    id: SessionId,
    start_time: Timestamp,
    end_time: Option<Timestamp>,
    #[sqlx(skip)]
    feedback: Vec<Comment>,
}

#[derive(FromRow, Serialize)]
struct Comment {
    #[serde(skip)]
    session_id: SessionId,
    id: FeedbackId,
    comment: String,
    rating: i32,
}

#[derive(FromRow, Serialize)]
struct Felt {
    id: DetectionId,
    session_id: SessionId,
    timestamp: Timestamp,
    confidence: Option<f64>,
    #[sqlx(skip)]
    facial_data: Vec<Face>,
    #[sqlx(skip)]
    voice_data: Vec<Voice>,
    #[sqlx(skip)]
    wellness_suggestions: Vec<Advice>,
}

#[derive(FromRow, Serialize)]
struct Face {
    #[serde(skip)]
    detection_id: DetectionId,
    id: FaceId,
    emotion: String,
}

#[derive(FromRow, Serialize)]
struct Voice {
    #[serde(skip)]
    detection_id: DetectionId,
    id: VoiceId,
    /// In clear. Null when no key of ours opens it: one text that is lost does not cost its owner all the others.
    content: Option<String>,
}

#[derive(FromRow, Serialize)]
struct Advice {
    #[serde(skip)]
    detection_id: DetectionId,
    id: SuggestionId,
    suggestion: String,
    url: Option<String>,
}

/// Writes the user's sessions with their feedback, and what was detected in them: `sessions`, `emotion_detections`.
///
/// # Errors
/// [`ExportAborted`].
pub async fn export(
    snapshot: &mut Snapshot,
    keyring: &Keyring,
    user: UserId,
    document: &mut JsonWriter,
) -> Result<(), ExportAborted> {
    sessions(snapshot, user, document).await?;
    let mut list = document.array("emotion_detections")?;
    let mut walk = Walk { user, after: START, last_session: SessionId(0) };
    while walk.next_sessions(snapshot).await? {
        loop {
            let detections = walk.next_page(snapshot).await?;
            if detections.is_empty() {
                break;
            }
            for detection in whole(snapshot, keyring, detections).await? {
                list.item(&detection).await?;
            }
        }
    }
    list.close();
    Ok(())
}

async fn sessions(snapshot: &mut Snapshot, user: UserId, document: &mut JsonWriter) -> Result<(), ExportAborted> {
    let mut list = document.array("sessions")?;
    let mut after = SessionId(0);
    loop {
        let mut sessions: Vec<Sitting> = read_page(snapshot, SESSIONS, user, after.0).await?;
        let Some(last) = sessions.last() else { break };
        after = last.id;
        let ids: Vec<i64> = sessions.iter().map(|session| session.id.0).collect();
        let mut feedback = under(snapshot, &FEEDBACK, &ids, |comment: &Comment| comment.session_id.0).await?;
        for session in &mut sessions {
            session.feedback = feedback.remove(&session.id.0).unwrap_or_default();
            list.item(session).await?;
        }
    }
    list.close();
    Ok(())
}

type Place = (SessionId, Timestamp, DetectionId);
const START: Place = (SessionId(0), Timestamp::from_micros(i64::MIN), DetectionId(0));

/// Where the reading of detections stands.
struct Walk {
    user: UserId,
    /// The last detection that was read.
    after: Place,
    /// The last of the sessions whose detections are being read.
    last_session: SessionId,
}

impl Walk {
    /// Goes on to the next page of sessions; false when there is none.
    async fn next_sessions(&mut self, snapshot: &mut Snapshot) -> Result<bool, Failure> {
        let sessions: Vec<Sitting> = read_page(snapshot, SESSIONS, self.user, self.last_session.0).await?;
        let Some(last) = sessions.last() else { return Ok(false) };
        self.after = (self.last_session, START.1, START.2);
        self.last_session = last.id;
        Ok(true)
    }

    /// The next detections of these sessions; none at their end.
    async fn next_page(&mut self, snapshot: &mut Snapshot) -> Result<Vec<Felt>, Failure> {
        let (session, moment, detection) = self.after;
        let mut rows: Vec<Felt> = Vec::new();
        if moment != START.1 {
            rows = with_conn!(snapshot.connection(), c => sqlx::query_as(GOING_ON)
                .bind(session).bind(moment).bind(detection).bind(PAGE_SIZE as i64).fetch_all(c).await)?;
        }
        if rows.is_empty() {
            rows = with_conn!(snapshot.connection(), c => sqlx::query_as(BEGINNING)
                .bind(self.user).bind(session).bind(self.last_session).bind(PAGE_SIZE as i64).fetch_all(c).await)?;
        }
        if let Some(last) = rows.last() {
            self.after = (last.session_id, last.timestamp, last.id);
        }
        Ok(rows)
    }
}

/// The detections with all that belongs to them.
async fn whole(snapshot: &mut Snapshot, keyring: &Keyring, mut detections: Vec<Felt>) -> Result<Vec<Felt>, Failure> {
    let ids: Vec<i64> = detections.iter().map(|detection| detection.id.0).collect();
    let mut faces = under(snapshot, &FACES, &ids, |face: &Face| face.detection_id.0).await?;
    let mut voices = under(snapshot, &VOICES, &ids, |voice: &Voice| voice.detection_id.0).await?;
    let mut advice = under(snapshot, &SUGGESTIONS, &ids, |advice: &Advice| advice.detection_id.0).await?;
    for detection in &mut detections {
        detection.facial_data = faces.remove(&detection.id.0).unwrap_or_default();
        detection.voice_data = voices.remove(&detection.id.0).unwrap_or_default();
        detection.wellness_suggestions = advice.remove(&detection.id.0).unwrap_or_default();
        detection.voice_data.iter_mut().for_each(|voice| voice.open(keyring));
    }
    Ok(detections)
}

impl Voice {
    fn open(&mut self, keyring: &Keyring) {
        let Some(stored) = self.content.take() else { return };
        match keyring.open(&voice_place(self.detection_id), &stored) {
            Ok(said) => self.content = Some(said),
            Err(failure) => tracing::warn!(%failure, "an export lacks a text that cannot be opened"),
        }
    }
}

/// What belongs to these rows, by the row to which it belongs.
async fn under<R>(
    snapshot: &mut Snapshot,
    padded: &'static BulkStatement,
    owners: &[i64],
    owner: fn(&R) -> i64,
) -> Result<HashMap<i64, Vec<R>>, Failure>
where
    R: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
{
    let rows: Vec<R> = with_conn!(snapshot.connection(), c => {
        let mut query = sqlx::query_as(padded.sql(owners.len()));
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
