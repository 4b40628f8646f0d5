//! The SQL that changes sessions, in the caller's transaction.

use std::sync::LazyLock;

use faceofmind_base::Timestamp;
use faceofmind_db::{BulkStatement, Connection, StoreError, Tx, pad_with_nulls, with_conn};
use faceofmind_model::UserId;
use sqlx::AssertSqlSafe;

use super::session::{Session, SessionId};

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
/// Locks in the order of the ids, so that the batches of two nodes do not deadlock.
static LOCK: LazyLock<BulkStatement> =
    LazyLock::new(|| BulkStatement::new(&format!("{REQUESTED} ORDER BY s.id FOR UPDATE OF s"), 1, 2));
static DELETE_CHILDREN: LazyLock<Vec<BulkStatement>> =
    LazyLock::new(|| CHILD_TABLES.iter().map(|sql| BulkStatement::new(&format!("{OWNED}{sql}"), 1, 2)).collect());
static DELETE: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "DELETE FROM sessions WHERE id IN (SELECT id FROM owned)";
    BulkStatement::new(&format!("{OWNED}{sql}"), 1, 2)
});

/// The requested sessions that belong to their users. A join, because SQLite would scan the table for `(id, user_id) IN (VALUES …)`.
const OWNED: &str = "WITH owned AS (SELECT s.id FROM (VALUES {rows}) AS requested \
    JOIN sessions s ON s.id = requested.column1 AND s.user_id = requested.column2) ";
const REQUESTED: &str = "SELECT s.id, s.user_id, s.start_time, s.end_time FROM (VALUES {rows}) AS requested \
    JOIN sessions s ON s.id = requested.column1 AND s.user_id = requested.column2";
const OF_USER: &str = "WITH owned AS (SELECT id FROM sessions WHERE user_id = $1) ";

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

/// Returns the requested sessions that exist, locked until the transaction ends. SQLite needs no lock, because it has one writer.
pub(super) async fn lock(tx: &mut Tx, requested: &[OwnedSession]) -> Result<Vec<Session>, StoreError> {
    let statement: &'static BulkStatement = if matches!(tx, Tx::Postgres(_)) { &LOCK } else { &FIND };
    Ok(with_conn!(tx.connection(), c => {
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

/// Deletes all sessions of a user with everything recorded in them. Waits for batches that are writing into them.
pub async fn erase(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    if let Connection::Postgres(c) = tx.connection() {
        let lock = "SELECT id FROM sessions WHERE user_id = $1 ORDER BY id FOR UPDATE";
        sqlx::query(lock).bind(user).execute(c).await?;
    }
    for sql in CHILD_TABLES.iter().chain(&["DELETE FROM sessions WHERE id IN (SELECT id FROM owned)"]) {
        let sql = AssertSqlSafe(format!("{OF_USER}{sql}"));
        with_conn!(tx.connection(), c => sqlx::query(sql).bind(user).execute(c).await.map(drop))?;
    }
    Ok(())
}
