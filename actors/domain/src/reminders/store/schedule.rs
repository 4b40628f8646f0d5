//! The SQL of `reminder_schedules`: when each reminder is to be told, and when it was.

use std::sync::LazyLock;

use faceofmind_base::{CivilDate, Timestamp};
use faceofmind_db::{BulkStatement, Connection, Database, MAX_ROWS, Tx, pad_with_nulls, with_conn};
use faceofmind_runtime::legacy::Failure;
use sqlx::FromRow;

use crate::reminders::Reminder;
use faceofmind_model::reminder::ReminderId;
use faceofmind_model::user::UserId;

const SET: &str = "INSERT INTO reminder_schedules (reminder_id, due_at) VALUES ($1, $2) \
    ON CONFLICT (reminder_id) DO UPDATE SET due_at = excluded.due_at, told_at = NULL";
const DELETE: &str = "DELETE FROM reminder_schedules WHERE reminder_id = $1";
const IS_ANYTHING_DUE: &str = "SELECT count(*) FROM \
    (SELECT 1 FROM reminder_schedules WHERE due_at <= $1 AND told_at IS NULL LIMIT 1) AS due";
macro_rules! due {
    ($rest:literal, $lock:literal) => {
        concat!(
            "SELECT r.id, r.user_id, s.due_at FROM reminder_schedules s JOIN reminders r ON r.id = s.reminder_id ",
            "WHERE s.due_at <= $1 AND s.told_at IS NULL AND ",
            $rest,
            $lock
        )
    };
    (many $lock:literal) => {
        due!("(s.due_at, s.reminder_id) > ($2, $3) ORDER BY s.due_at, s.reminder_id LIMIT $4", $lock)
    };
    (one $lock:literal) => {
        due!("s.reminder_id = $2", $lock)
    };
}
/// Before whatever may be due.
const FIRST: (Timestamp, ReminderId) = (Timestamp::from_micros(0), ReminderId(0));
static MARK_TOLD: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "UPDATE reminder_schedules SET told_at = $1 WHERE reminder_id IN (VALUES {rows})";
    BulkStatement::new(sql, 2, 1)
});
static PASS_OVER: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "UPDATE reminder_schedules SET due_at = NULL WHERE reminder_id IN (VALUES {rows})";
    BulkStatement::new(sql, 1, 1)
});
const TOLD: &str = "SELECT r.id, r.user_id, r.title, r.description, r.reminder_time, r.is_active, r.created_at \
    FROM reminders r JOIN reminder_schedules s ON s.reminder_id = r.id \
    WHERE r.id = $1 AND r.is_active AND s.told_at IS NOT NULL";
const WAITING: &str = "SELECT r.id, r.reminder_time FROM reminders r JOIN reminder_schedules s ON s.reminder_id = r.id \
    WHERE r.user_id = $1 AND s.due_at IS NOT NULL AND s.told_at IS NULL";
/// One that is told meanwhile stays so.
static MOVE: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "UPDATE reminder_schedules SET due_at = asked.column2 FROM (VALUES {rows}) AS asked \
               WHERE reminder_id = asked.column1 AND told_at IS NULL";
    BulkStatement::new(sql, 1, 2)
});
const UNSEEN: &str = "SELECT r.id, r.user_id, r.reminder_time, r.is_active \
    FROM reminders r LEFT JOIN reminder_schedules s ON s.reminder_id = r.id \
    WHERE s.reminder_id IS NULL AND r.id > $1 ORDER BY r.id LIMIT $2";
/// One that was written meanwhile has its row already.
static ADD: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "INSERT INTO reminder_schedules (reminder_id, due_at) \
               SELECT column1, column2 FROM (VALUES {rows}) AS asked WHERE column1 IS NOT NULL \
               ON CONFLICT (reminder_id) DO NOTHING";
    BulkStatement::new(sql, 1, 2)
});

/// When a reminder is to be told, if it is.
pub(in crate::reminders) type DueAt = (ReminderId, Option<Timestamp>);

/// A reminder whose time has come.
#[derive(Clone, Copy, Debug, FromRow)]
pub(in crate::reminders) struct Due {
    pub(in crate::reminders) id: ReminderId,
    pub(in crate::reminders) user_id: UserId,
    pub(in crate::reminders) due_at: Timestamp,
}

/// A reminder that stands without a schedule, as the predecessor left it.
#[derive(Clone, Copy, Debug, FromRow)]
pub(in crate::reminders) struct Unseen {
    pub(in crate::reminders) id: ReminderId,
    pub(in crate::reminders) user_id: UserId,
    pub(in crate::reminders) reminder_time: CivilDate,
    pub(in crate::reminders) is_active: bool,
}

/// Sets when a reminder is to be told, whether it was told before or not.
pub(in crate::reminders) async fn set(tx: &mut Tx, id: ReminderId, due_at: Option<Timestamp>) -> Result<(), Failure> {
    Ok(with_conn!(tx.connection(), c => sqlx::query(SET).bind(id).bind(due_at).execute(c).await.map(drop))?)
}

pub(in crate::reminders) async fn delete(tx: &mut Tx, id: ReminderId) -> Result<(), Failure> {
    Ok(with_conn!(tx.connection(), c => sqlx::query(DELETE).bind(id).execute(c).await.map(drop))?)
}

/// Asked often, and cheaper than taking.
pub(in crate::reminders) async fn is_anything_due(db: &Database, now: Timestamp) -> Result<bool, Failure> {
    let mut reader = db.read_conn().await?;
    let (due,): (i64,) =
        with_conn!(reader.connection(), c => sqlx::query_as(IS_ANYTHING_DUE).bind(now).fetch_one(c).await)?;
    Ok(due > 0)
}

/// What is due behind that one, at most `most`, in order, for this transaction alone. What another holds, a node or somebody who changes
/// it, is left for the next time: nodes share the work, and nobody waits in a circle.
pub(in crate::reminders) async fn take(
    tx: &mut Tx,
    now: Timestamp,
    after: Option<Due>,
    most: usize,
) -> Result<Vec<Due>, Failure> {
    let (due_at, id) = after.map_or(FIRST, |due| (due.due_at, due.id));
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    Ok(match tx.connection() {
        Connection::Postgres(c) => {
            let sql = due!(many " FOR UPDATE OF s SKIP LOCKED");
            sqlx::query_as(sql).bind(now).bind(due_at).bind(id).bind(most).fetch_all(c).await?
        }
        Connection::Sqlite(c) => {
            sqlx::query_as(due!(many "")).bind(now).bind(due_at).bind(id).bind(most).fetch_all(c).await?
        }
    })
}

/// [Takes](take) that one, if it is still due.
pub(in crate::reminders) async fn take_one(
    tx: &mut Tx,
    now: Timestamp,
    id: ReminderId,
) -> Result<Option<Due>, Failure> {
    Ok(match tx.connection() {
        Connection::Postgres(c) => {
            let sql = due!(one " FOR UPDATE OF s SKIP LOCKED");
            sqlx::query_as(sql).bind(now).bind(id).fetch_optional(c).await?
        }
        Connection::Sqlite(c) => sqlx::query_as(due!(one "")).bind(now).bind(id).fetch_optional(c).await?,
    })
}

/// Notes that these are told. They were [taken](take), [`MAX_ROWS`] at most.
pub(in crate::reminders) async fn mark_told(tx: &mut Tx, told: &[Due], now: Timestamp) -> Result<(), Failure> {
    if told.is_empty() {
        return Ok(());
    }
    Ok(with_conn!(tx.connection(), c => {
        let query = sqlx::query(MARK_TOLD.sql(told.len())).bind(now);
        pad_with_nulls(told.iter()).fold(query, |query, due| query.bind(due.map(|due| due.id))).execute(c).await.map(drop)
    })?)
}

/// Lets the time of these pass untold. They were [taken](take), [`MAX_ROWS`] at most.
pub(in crate::reminders) async fn pass_over(tx: &mut Tx, passed: &[Due]) -> Result<(), Failure> {
    if passed.is_empty() {
        return Ok(());
    }
    Ok(with_conn!(tx.connection(), c => {
        let query = sqlx::query(PASS_OVER.sql(passed.len()));
        pad_with_nulls(passed.iter()).fold(query, |query, due| query.bind(due.map(|due| due.id))).execute(c).await.map(drop)
    })?)
}

/// The reminder, if it is told and still to be.
pub(in crate::reminders) async fn told(
    connection: Connection<'_>,
    id: ReminderId,
) -> Result<Option<Reminder>, Failure> {
    Ok(with_conn!(connection, c => sqlx::query_as(TOLD).bind(id).fetch_optional(c).await)?)
}

/// What is still to be told to a user, and for which date.
pub(in crate::reminders) async fn waiting(tx: &mut Tx, user: UserId) -> Result<Vec<(ReminderId, CivilDate)>, Failure> {
    Ok(with_conn!(tx.connection(), c => sqlx::query_as(WAITING).bind(user).fetch_all(c).await)?)
}

/// Moves what is [waiting] to other times.
pub(in crate::reminders) async fn move_all(tx: &mut Tx, moved: &[DueAt]) -> Result<(), Failure> {
    run(tx, &MOVE, moved).await
}

/// Reminders without a schedule, at most [`MAX_ROWS`], by their keys and behind that one.
pub(in crate::reminders) async fn unseen(
    connection: Connection<'_>,
    after: ReminderId,
) -> Result<Vec<Unseen>, Failure> {
    let most = i64::try_from(MAX_ROWS).unwrap_or(i64::MAX);
    Ok(with_conn!(connection, c => sqlx::query_as(UNSEEN).bind(after).bind(most).fetch_all(c).await)?)
}

/// Gives [unseen] reminders their schedules.
pub(in crate::reminders) async fn add(tx: &mut Tx, seen: &[DueAt]) -> Result<(), Failure> {
    run(tx, &ADD, seen).await
}

async fn run(tx: &mut Tx, padded: &'static BulkStatement, rows: &[DueAt]) -> Result<(), Failure> {
    for some in rows.chunks(MAX_ROWS) {
        with_conn!(tx.connection(), c => {
            let mut query = sqlx::query(padded.sql(some.len()));
            for row in pad_with_nulls(some.iter()) {
                query = query.bind(row.map(|(id, _)| *id)).bind(row.and_then(|(_, due_at)| *due_at));
            }
            query.execute(c).await.map(drop)
        })?;
    }
    Ok(())
}
