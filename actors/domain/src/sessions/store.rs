//! The SQL that changes sessions, in the caller's transaction.

use std::{collections::HashSet, sync::LazyLock};

use faceofmind_base::Timestamp;
use faceofmind_db::{BulkStatement, Connection, MAX_ROWS, StoreError, Tx, pad_with_nulls, with_conn};
use faceofmind_model::UserId;
use sqlx::AssertSqlSafe;

use super::session::{DetectionId, Session, SessionId};

pub(super) mod detections;
pub(super) mod feedback;

static START: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "INSERT INTO sessions (user_id, start_time) \
               SELECT column1, $1 FROM (VALUES {rows}) AS requested WHERE column1 IS NOT NULL RETURNING user_id, id";
    BulkStatement::new(sql, 2, 1)
});
/// Ends those that are open. The caller holds their locks.
static END: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "UPDATE sessions SET end_time = $1 WHERE end_time IS NULL AND id IN (VALUES {rows})";
    BulkStatement::new(sql, 2, 1)
});
static FIND: LazyLock<BulkStatement> = LazyLock::new(|| BulkStatement::new(REQUESTED, 1, 2));
static LOCK_FREE: LazyLock<BulkStatement> =
    LazyLock::new(|| BulkStatement::new(&format!("{REQUESTED} ORDER BY s.id FOR UPDATE OF s SKIP LOCKED"), 1, 2));
static DELETE_CHILDREN: LazyLock<Vec<BulkStatement>> =
    LazyLock::new(|| CHILD_TABLES.iter().map(|sql| BulkStatement::new(&format!("{OWNED}{sql}"), 1, 2)).collect());
static DELETE: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "DELETE FROM sessions WHERE id IN (SELECT id FROM owned)";
    BulkStatement::new(&format!("{OWNED}{sql}"), 1, 2)
});

static DETECTIONS_OF: LazyLock<BulkStatement> = LazyLock::new(|| {
    BulkStatement::new("SELECT id FROM emotion_detections WHERE session_id IN (VALUES {rows}) LIMIT $1", 2, 1)
});
static LARGER_THAN: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "SELECT session_id FROM emotion_detections WHERE session_id IN (VALUES {rows}) \
               GROUP BY session_id HAVING count(*) > $1";
    BulkStatement::new(sql, 2, 1)
});
/// Leaves first, because legacy databases have no cascades.
static DELETE_DETECTIONS: LazyLock<[BulkStatement; 5]> = LazyLock::new(|| {
    [
        "DELETE FROM facial_data WHERE detection_id IN (VALUES {rows})",
        "DELETE FROM voice_data WHERE detection_id IN (VALUES {rows})",
        "DELETE FROM detection_details WHERE detection_id IN (VALUES {rows})",
        "DELETE FROM wellness_suggestions WHERE detection_id IN (VALUES {rows})",
        "DELETE FROM emotion_detections WHERE id IN (VALUES {rows})",
    ]
    .map(|sql| BulkStatement::new(sql, 1, 1))
});

/// The requested sessions that belong to their users. A join, because SQLite would scan the table for `(id, user_id) IN (VALUES …)`.
const OWNED: &str = "WITH owned AS (SELECT s.id FROM (VALUES {rows}) AS requested \
    JOIN sessions s ON s.id = requested.column1 AND s.user_id = requested.column2) ";
const REQUESTED: &str = "SELECT s.id, s.user_id, s.start_time, s.end_time FROM (VALUES {rows}) AS requested \
    JOIN sessions s ON s.id = requested.column1 AND s.user_id = requested.column2";

/// Deletes the rows that belong to `owned` sessions, leaves first, because legacy databases have no cascades.
const CHILD_TABLES: [&str; 6] = [
    "DELETE FROM facial_data WHERE detection_id IN \
     (SELECT d.id FROM emotion_detections d JOIN owned ON owned.id = d.session_id)",
    "DELETE FROM voice_data WHERE detection_id IN \
     (SELECT d.id FROM emotion_detections d JOIN owned ON owned.id = d.session_id)",
    "DELETE FROM detection_details WHERE detection_id IN \
     (SELECT d.id FROM emotion_detections d JOIN owned ON owned.id = d.session_id)",
    "DELETE FROM wellness_suggestions WHERE detection_id IN \
     (SELECT d.id FROM emotion_detections d JOIN owned ON owned.id = d.session_id)",
    "DELETE FROM emotion_detections WHERE session_id IN (SELECT id FROM owned)",
    "DELETE FROM feedback WHERE session_id IN (SELECT id FROM owned)",
];

/// A session, and the user that must own it.
pub(super) type OwnedSession = (SessionId, UserId);

/// Starts a session for each of `users`, which may repeat. Returns the new sessions by user, then by id. Fails as a whole when a user
/// does not exist.
pub(super) async fn start(tx: &mut Tx, users: &[UserId], now: Timestamp) -> Result<Vec<Session>, StoreError> {
    let mut rows: Vec<(UserId, SessionId)> = with_conn!(tx.connection(), c => {
        let mut query = sqlx::query_as(START.sql(users.len())).bind(now);
        for user in pad_with_nulls(users.iter().copied()) {
            query = query.bind(user);
        }
        query.fetch_all(c).await
    })?;
    rows.sort_unstable();
    let session = |(user_id, id)| Session { id, user_id, start_time: now, end_time: None };
    Ok(rows.into_iter().map(session).collect())
}

/// Returns the requested sessions that exist.
pub(super) async fn find(connection: Connection<'_>, requested: &[OwnedSession]) -> Result<Vec<Session>, StoreError> {
    select(connection, &FIND, requested).await
}

/// Returns the requested sessions that exist and that no other transaction holds, locked until the transaction ends. On PostgreSQL.
pub(super) async fn lock_free(tx: &mut Tx, requested: &[OwnedSession]) -> Result<Vec<Session>, StoreError> {
    select(tx.connection(), &LOCK_FREE, requested).await
}

async fn select(
    connection: Connection<'_>,
    statement: &'static BulkStatement,
    requested: &[OwnedSession],
) -> Result<Vec<Session>, StoreError> {
    if requested.is_empty() {
        return Ok(Vec::new());
    }
    Ok(with_conn!(connection, c => {
        let mut query = sqlx::query_as(statement.sql(requested.len()));
        for session in pad_with_nulls(requested.iter().copied()) {
            query = query.bind(session.map(|(id, _)| id)).bind(session.map(|(_, user)| user));
        }
        query.fetch_all(c).await
    })?)
}

/// Ends the open ones of these sessions.
pub(super) async fn end(tx: &mut Tx, ids: &[SessionId], now: Timestamp) -> Result<(), StoreError> {
    with_conn!(tx.connection(), c => {
        let mut query = sqlx::query(END.sql(ids.len())).bind(now);
        for id in pad_with_nulls(ids.iter().copied()) {
            query = query.bind(id);
        }
        query.execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Deletes the requested sessions that exist, with everything recorded in them.
pub(super) async fn delete(tx: &mut Tx, requested: &[OwnedSession]) -> Result<(), StoreError> {
    for statement in DELETE_CHILDREN.iter().chain([&*DELETE]) {
        with_conn!(tx.connection(), c => {
            let mut query = sqlx::query(statement.sql(requested.len()));
            for session in pad_with_nulls(requested.iter().copied()) {
                query = query.bind(session.map(|(id, _)| id)).bind(session.map(|(_, user)| user));
            }
            query.execute(c).await.map(drop)
        })?;
    }
    Ok(())
}

/// Deletes sessions of a user with everything recorded in them, up to about `max_rows` detections and sessions. Returns whether some may
/// remain. Waits for batches that are writing into them.
pub async fn erase(tx: &mut Tx, user: UserId, max_rows: usize) -> Result<bool, StoreError> {
    let mut rows_left = max_rows;
    while rows_left > 0 {
        let sessions = lock_first(tx, user).await?;
        if sessions.is_empty() {
            return Ok(false);
        }
        let detections = detections_of(tx, &sessions, rows_left).await?;
        delete_detections(tx, &detections).await?;
        rows_left -= detections.len();
        if rows_left > 0 {
            delete(tx, &sessions).await?;
            rows_left = rows_left.saturating_sub(sessions.len());
        }
    }
    Ok(true)
}

/// Locks up to [`MAX_ROWS`] sessions of the user, in the order of the ids.
async fn lock_first(tx: &mut Tx, user: UserId) -> Result<Vec<OwnedSession>, StoreError> {
    let end = if matches!(tx, Tx::Postgres(_)) { " FOR UPDATE" } else { "" };
    let select = format!("SELECT id, user_id FROM sessions WHERE user_id = $1 ORDER BY id LIMIT {MAX_ROWS}{end}");
    Ok(with_conn!(tx.connection(), c => sqlx::query_as(AssertSqlSafe(select)).bind(user).fetch_all(c).await)?)
}

/// Returns those of these sessions that hold more than `detections`.
pub(super) async fn larger_than(
    tx: &mut Tx,
    sessions: &[OwnedSession],
    detections: usize,
) -> Result<HashSet<SessionId>, StoreError> {
    if sessions.is_empty() {
        return Ok(HashSet::new());
    }
    let rows: Vec<(SessionId,)> = with_conn!(tx.connection(), c => {
        let mut query = sqlx::query_as(LARGER_THAN.sql(sessions.len())).bind(i64::try_from(detections).unwrap_or(i64::MAX));
        for session in pad_with_nulls(sessions.iter()) {
            query = query.bind(session.map(|(id, _)| *id));
        }
        query.fetch_all(c).await
    })?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Returns up to `limit` detections of these sessions.
pub(super) async fn detections_of(
    tx: &mut Tx,
    sessions: &[OwnedSession],
    limit: usize,
) -> Result<Vec<DetectionId>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows: Vec<(DetectionId,)> = with_conn!(tx.connection(), c => {
        let mut query = sqlx::query_as(DETECTIONS_OF.sql(sessions.len())).bind(limit);
        for session in pad_with_nulls(sessions.iter()) {
            query = query.bind(session.map(|(id, _)| *id));
        }
        query.fetch_all(c).await
    })?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Deletes these detections with what belongs to them.
pub(super) async fn delete_detections(tx: &mut Tx, detections: &[DetectionId]) -> Result<(), StoreError> {
    for page in detections.chunks(MAX_ROWS) {
        for statement in &*DELETE_DETECTIONS {
            with_conn!(tx.connection(), c => {
                let mut query = sqlx::query(statement.sql(page.len()));
                for id in pad_with_nulls(page.iter().copied()) {
                    query = query.bind(id);
                }
                query.execute(c).await.map(drop)
            })?;
        }
    }
    Ok(())
}
