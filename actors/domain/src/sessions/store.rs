//! The statements that change sessions. All take a transaction; the caller commits.

use std::sync::LazyLock;

use faceofmind_base::Timestamp;
use faceofmind_db::{BulkStatement, Connection, Tx, pad_with_nulls, with_conn};
use faceofmind_runtime::legacy::Failure;
use sqlx::AssertSqlSafe;

use super::session::{Session, SessionId};
use faceofmind_model::user::UserId;

pub(super) mod detections;
pub(super) mod feedback;

static START: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "INSERT INTO sessions (user_id, start_time) \
               SELECT column1, $1 FROM (VALUES {rows}) AS asked WHERE column1 IS NOT NULL RETURNING user_id, id";
    BulkStatement::new(sql, 2, 1)
});
/// Only those that are open; who asks holds their locks.
static END: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "UPDATE sessions SET end_time = $1 WHERE end_time IS NULL AND id IN (VALUES {rows})";
    BulkStatement::new(sql, 2, 1)
});
static FIND: LazyLock<BulkStatement> = LazyLock::new(|| BulkStatement::new(ASKED, 1, 2));
/// In the order of their ids, so that batches of two nodes do not wait for each other in a circle.
static LOCK: LazyLock<BulkStatement> =
    LazyLock::new(|| BulkStatement::new(&format!("{ASKED} ORDER BY s.id FOR UPDATE OF s"), 1, 2));
static DELETE_UNDER: LazyLock<Vec<BulkStatement>> =
    LazyLock::new(|| UNDER.iter().map(|sql| BulkStatement::new(&format!("{OWNED}{sql}"), 1, 2)).collect());
static DELETE: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "DELETE FROM sessions WHERE id IN (SELECT id FROM owned)";
    BulkStatement::new(&format!("{OWNED}{sql}"), 1, 2)
});

/// The sessions asked for, as far as they belong to who asks. A join: SQLite would scan the table for `(id, user_id) IN (VALUES …)`.
const OWNED: &str = "WITH owned AS (SELECT s.id FROM (VALUES {rows}) AS asked \
    JOIN sessions s ON s.id = asked.column1 AND s.user_id = asked.column2) ";
const ASKED: &str = "SELECT s.id, s.user_id, s.start_time, s.end_time FROM (VALUES {rows}) AS asked \
    JOIN sessions s ON s.id = asked.column1 AND s.user_id = asked.column2";
const OF_USER: &str = "WITH owned AS (SELECT id FROM sessions WHERE user_id = $1) ";

/// What stands under a session, leaves first: legacy databases have no cascades.
const UNDER: [&str; 6] = [
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

/// A session, and whose it is said to be.
pub(super) type Asked = (SessionId, UserId);

/// Starts a session for each user, who may stand there several times; the new sessions by user, then by id. Fails as a whole when a
/// user does not exist.
pub(super) async fn start(tx: &mut Tx, users: &[UserId], now: Timestamp) -> Result<Vec<Session>, Failure> {
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

/// Those that there are, locked until the transaction ends. SQLite has one writer, who is us.
pub(super) async fn lock(tx: &mut Tx, asked: &[Asked]) -> Result<Vec<Session>, Failure> {
    let padded: &'static BulkStatement = if matches!(tx, Tx::Postgres(_)) { &LOCK } else { &FIND };
    Ok(with_conn!(tx.connection(), c => {
        let mut query = sqlx::query_as(padded.sql(asked.len()));
        for asked in pad_with_nulls(asked.iter().copied()) {
            query = query.bind(asked.map(|(id, _)| id)).bind(asked.map(|(_, user)| user));
        }
        query.fetch_all(c).await
    })?)
}

/// Ends those that are open.
pub(super) async fn end(tx: &mut Tx, ids: &[SessionId], now: Timestamp) -> Result<(), Failure> {
    with_conn!(tx.connection(), c => {
        let mut query = sqlx::query(END.sql(ids.len())).bind(now);
        for id in pad_with_nulls(ids.iter().copied()) {
            query = query.bind(id);
        }
        query.execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Deletes those that there are with everything under them.
pub(super) async fn delete(tx: &mut Tx, asked: &[Asked]) -> Result<(), Failure> {
    for padded in DELETE_UNDER.iter().chain([&*DELETE]) {
        with_conn!(tx.connection(), c => {
            let mut query = sqlx::query(padded.sql(asked.len()));
            for asked in pad_with_nulls(asked.iter().copied()) {
                query = query.bind(asked.map(|(id, _)| id)).bind(asked.map(|(_, user)| user));
            }
            query.execute(c).await.map(drop)
        })?;
    }
    Ok(())
}

/// Deletes all of a user's sessions with everything under them. What is just being written into them is waited for.
///
/// # Errors
/// [`Failure::Store`].
pub async fn erase(tx: &mut Tx, user: UserId) -> Result<(), Failure> {
    if let Connection::Postgres(c) = tx.connection() {
        let lock = "SELECT id FROM sessions WHERE user_id = $1 ORDER BY id FOR UPDATE";
        sqlx::query(lock).bind(user).execute(c).await?;
    }
    for sql in UNDER.iter().chain(&["DELETE FROM sessions WHERE id IN (SELECT id FROM owned)"]) {
        let sql = AssertSqlSafe(format!("{OF_USER}{sql}"));
        with_conn!(tx.connection(), c => sqlx::query(sql).bind(user).execute(c).await.map(drop))?;
    }
    Ok(())
}
