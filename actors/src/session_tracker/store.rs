//! The statements that change sessions. All take a transaction; the caller commits.

use std::sync::LazyLock;

use faceofmind_kit::{Connection, Failure, Padded, Timestamp, Tx, on, padded::filled};
use sqlx::AssertSqlSafe;

use super::session::{Session, SessionId};
use crate::user_registry::UserId;

pub(super) mod detections;
pub(super) mod feedback;

static START: LazyLock<Padded> = LazyLock::new(|| {
    let sql = "INSERT INTO sessions (user_id, start_time) \
               SELECT column1, $1 FROM (VALUES {rows}) AS asked WHERE column1 IS NOT NULL RETURNING user_id, id";
    Padded::new(sql, 2, 1)
});
/// Only those that are open; who asks holds their locks.
static END: LazyLock<Padded> = LazyLock::new(|| {
    let sql = "UPDATE sessions SET end_time = $1 WHERE end_time IS NULL AND id IN (VALUES {rows})";
    Padded::new(sql, 2, 1)
});
static FIND: LazyLock<Padded> = LazyLock::new(|| Padded::new(ASKED, 1, 2));
/// In the order of their ids, so that batches of two nodes do not wait for each other in a circle.
static LOCK: LazyLock<Padded> = LazyLock::new(|| Padded::new(&format!("{ASKED} ORDER BY s.id FOR UPDATE OF s"), 1, 2));
static DELETE_UNDER: LazyLock<Vec<Padded>> =
    LazyLock::new(|| UNDER.iter().map(|sql| Padded::new(&format!("{OWNED}{sql}"), 1, 2)).collect());
static DELETE: LazyLock<Padded> = LazyLock::new(|| {
    let sql = "DELETE FROM sessions WHERE id IN (SELECT id FROM owned)";
    Padded::new(&format!("{OWNED}{sql}"), 1, 2)
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
    let mut rows: Vec<(UserId, SessionId)> = on!(tx.connection(), c => {
        let mut query = sqlx::query_as(START.text(users.len())).bind(now);
        for user in filled(users.iter().copied()) {
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
    let padded: &'static Padded = if matches!(tx, Tx::Postgres(_)) { &LOCK } else { &FIND };
    Ok(on!(tx.connection(), c => {
        let mut query = sqlx::query_as(padded.text(asked.len()));
        for asked in filled(asked.iter().copied()) {
            query = query.bind(asked.map(|(id, _)| id)).bind(asked.map(|(_, user)| user));
        }
        query.fetch_all(c).await
    })?)
}

/// Ends those that are open.
pub(super) async fn end(tx: &mut Tx, ids: &[SessionId], now: Timestamp) -> Result<(), Failure> {
    on!(tx.connection(), c => {
        let mut query = sqlx::query(END.text(ids.len())).bind(now);
        for id in filled(ids.iter().copied()) {
            query = query.bind(id);
        }
        query.execute(c).await.map(drop)
    })?;
    Ok(())
}

/// Deletes those that there are with everything under them.
pub(super) async fn delete(tx: &mut Tx, asked: &[Asked]) -> Result<(), Failure> {
    for padded in DELETE_UNDER.iter().chain([&*DELETE]) {
        on!(tx.connection(), c => {
            let mut query = sqlx::query(padded.text(asked.len()));
            for asked in filled(asked.iter().copied()) {
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
        on!(tx.connection(), c => sqlx::query(sql).bind(user).execute(c).await.map(drop))?;
    }
    Ok(())
}
