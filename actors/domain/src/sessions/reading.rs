//! What a user may see of their sessions. One or two statements, however many rows.

use std::{collections::HashMap, sync::LazyLock};

use faceofmind_base::Timestamp;
use faceofmind_db::{Database, ReadConn, with_conn};
use faceofmind_runtime::legacy::Failure;

use super::{
    session::{DetectionId, Listed, Session, SessionError, SessionId, first_sentence},
    tally::{NEWEST_FACE, Seen, Tally},
};
use faceofmind_model::user::UserId;
use faceofmind_platform::encryption::Keyring;
use faceofmind_platform::idempotency;
use faceofmind_platform::idempotency::{Answer, Key};

const GET: &str = "SELECT id, user_id, start_time, end_time FROM sessions WHERE id = $1 AND user_id = $2";
const COUNT: &str = "SELECT count(*) FROM sessions WHERE user_id = $1";
const PAGE: &str = "SELECT s.id, s.user_id, s.start_time, s.end_time, \
    (SELECT w.suggestion FROM emotion_detections d JOIN wellness_suggestions w ON w.detection_id = d.id \
     WHERE d.session_id = s.id ORDER BY w.id LIMIT 1) AS suggestion \
    FROM sessions s WHERE s.user_id = $1 ORDER BY s.id DESC LIMIT $2 OFFSET $3";
static EMOTIONS: LazyLock<String> = LazyLock::new(|| {
    let sql = "SELECT s.id, f.emotion, count(*), max(d.timestamp), max(d.id) \
        FROM sessions s JOIN emotion_detections d ON d.session_id = s.id JOIN facial_data f ON f.detection_id = d.id \
        WHERE s.user_id = $1 AND s.id BETWEEN $2 AND $3 AND";
    format!("{sql} {NEWEST_FACE} GROUP BY s.id, f.emotion")
});

#[derive(sqlx::FromRow)]
struct Row {
    #[sqlx(flatten)]
    session: Session,
    suggestion: Option<String>,
}

/// One session.
pub(super) async fn get(db: &Database, user: UserId, id: SessionId) -> Result<Session, SessionError> {
    let mut reader = db.read_conn().await?;
    let found = with_conn!(reader.connection(), c => sqlx::query_as(GET).bind(id).bind(user).fetch_optional(c).await);
    found.map_err(Failure::from)?.ok_or(SessionError::NotFound)
}

/// How an earlier call with this key was answered, if there was one.
pub(super) async fn answered(
    db: &Database,
    keyring: &Keyring,
    key: &Key,
    now: Timestamp,
) -> Result<Option<Answer>, SessionError> {
    let claim = idempotency::answered(db, keyring, key, now).await?;
    claim.map_or(Ok(None), |claim| claim.earlier(SessionError::KeyReused))
}

/// How many sessions the user has.
pub(super) async fn count(db: &Database, user: UserId) -> Result<u64, SessionError> {
    let mut reader = db.read_conn().await?;
    let (count,): (i64,) = with_conn!(reader.connection(), c => sqlx::query_as(COUNT).bind(user).fetch_one(c).await)
        .map_err(Failure::from)?;
    Ok(count.unsigned_abs())
}

/// The user's sessions, newest first.
pub(super) async fn list(db: &Database, user: UserId, skip: u32, limit: u32) -> Result<Vec<Listed>, SessionError> {
    let mut reader = db.read_conn().await?;
    let rows: Vec<Row> = with_conn!(reader.connection(), c => sqlx::query_as(PAGE)
        .bind(user).bind(i64::from(limit)).bind(i64::from(skip))
        .fetch_all(c).await)
    .map_err(Failure::from)?;
    let (Some(newest), Some(oldest)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
    let tallies = tallies(&mut reader, user, oldest.session.id, newest.session.id).await?;
    Ok(rows.into_iter().map(|row| listed(row, &tallies)).collect())
}

fn listed(row: Row, tallies: &HashMap<SessionId, Tally>) -> Listed {
    let Session { id, user_id, start_time, end_time } = row.session;
    let dominant_emotion = tallies.get(&id).and_then(Tally::dominant).map(str::to_owned);
    let suggestion = row.suggestion.as_deref().and_then(first_sentence);
    Listed { id, user_id, start_time, end_time, dominant_emotion, suggestion }
}

/// What was detected in the user's sessions from one to another. By ids, not by place: a session started meanwhile moves the places.
async fn tallies(
    reader: &mut ReadConn,
    user: UserId,
    oldest: SessionId,
    newest: SessionId,
) -> Result<HashMap<SessionId, Tally>, Failure> {
    let rows: Vec<(SessionId, String, i64, Timestamp, DetectionId)> = with_conn!(reader.connection(), c =>
        sqlx::query_as(EMOTIONS.as_str()).bind(user).bind(oldest).bind(newest).fetch_all(c).await)?;
    let mut tallies: HashMap<_, Tally> = HashMap::new();
    for (session, emotion, times, latest, detection) in rows {
        tallies.entry(session).or_default().add(&emotion, Seen { times, latest, detection });
    }
    Ok(tallies)
}
