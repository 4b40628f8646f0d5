//! The SQL of `reminder_schedules`: when each reminder is due, and when it was sent (`told_at`).

use std::sync::LazyLock;

use faceofmind_base::{CivilDate, Timestamp};
use faceofmind_db::{BulkStatement, Connection, Database, MAX_ROWS, StoreError, Tx, pad_with_nulls, with_conn};
use faceofmind_model::{ReminderId, UserId};
use sqlx::FromRow;

use crate::reminders::Reminder;

/// `told_at` is of this schedule, `last_told_at` of an earlier one.
const SET: &str = "INSERT INTO reminder_schedules (reminder_id, due_at, told_at) VALUES ($1, $2, $3) \
    ON CONFLICT (reminder_id) DO UPDATE SET due_at = excluded.due_at, told_at = excluded.told_at, \
    last_told_at = COALESCE(reminder_schedules.told_at, reminder_schedules.last_told_at)";
/// Locks the row, so that a dispatch that is under way is waited for: it would be overwritten, and the reminder sent again.
const LAST_SENT_AT: &str = "UPDATE reminder_schedules SET due_at = due_at WHERE reminder_id = $1 \
    RETURNING COALESCE(told_at, last_told_at)";
const DELETE: &str = "DELETE FROM reminder_schedules WHERE reminder_id = $1";
/// The order makes PostgreSQL read the first entry of an index; it would scan the table where it expects many to be due.
pub(in crate::reminders) const IS_ANY_DUE: &str = "SELECT count(*) FROM \
    (SELECT 1 FROM reminder_schedules WHERE due_at <= $1 AND told_at IS NULL ORDER BY due_at LIMIT 1) AS due";
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
/// A place before every due reminder.
const FIRST: (Timestamp, ReminderId) = (Timestamp::from_micros(0), ReminderId(0));
static MARK_SENT: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "UPDATE reminder_schedules SET told_at = $1 WHERE reminder_id IN (VALUES {rows})";
    BulkStatement::new(sql, 2, 1)
});
static SKIP: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "UPDATE reminder_schedules SET due_at = NULL WHERE reminder_id IN (VALUES {rows})";
    BulkStatement::new(sql, 1, 1)
});
const FIND_SENT: &str = "SELECT r.id, r.user_id, r.title, r.description, r.reminder_time, r.is_active, r.created_at \
    FROM reminders r JOIN reminder_schedules s ON s.reminder_id = r.id \
    WHERE r.id = $1 AND r.is_active AND s.told_at IS NOT NULL";
const PENDING: &str = "SELECT r.id, r.reminder_time FROM reminders r JOIN reminder_schedules s ON s.reminder_id = r.id \
    WHERE r.user_id = $1 AND s.due_at IS NOT NULL AND s.told_at IS NULL";
/// A reminder that was sent meanwhile is left alone.
static MOVE: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "UPDATE reminder_schedules SET due_at = given.column2 FROM (VALUES {rows}) AS given \
               WHERE reminder_id = given.column1 AND told_at IS NULL";
    BulkStatement::new(sql, 1, 2)
});
const UNSCHEDULED: &str = "SELECT r.id, r.user_id, r.reminder_time, r.is_active \
    FROM reminders r LEFT JOIN reminder_schedules s ON s.reminder_id = r.id \
    WHERE s.reminder_id IS NULL AND r.id > $1 ORDER BY r.id LIMIT $2";
/// A reminder that was changed meanwhile has its row already.
static ADD: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "INSERT INTO reminder_schedules (reminder_id, due_at) \
               SELECT column1, column2 FROM (VALUES {rows}) AS given WHERE column1 IS NOT NULL \
               ON CONFLICT (reminder_id) DO NOTHING";
    BulkStatement::new(sql, 1, 2)
});

/// A reminder and when it is due, if ever.
pub(in crate::reminders) type DueAt = (ReminderId, Option<Timestamp>);

/// A reminder that is due.
#[derive(Clone, Copy, Debug, FromRow)]
pub(in crate::reminders) struct Due {
    pub(in crate::reminders) id: ReminderId,
    pub(in crate::reminders) user_id: UserId,
    pub(in crate::reminders) due_at: Timestamp,
}

/// A reminder without a schedule, as another program wrote it.
#[derive(Clone, Copy, Debug, FromRow)]
pub(in crate::reminders) struct Unscheduled {
    pub(in crate::reminders) id: ReminderId,
    pub(in crate::reminders) user_id: UserId,
    pub(in crate::reminders) reminder_time: CivilDate,
    pub(in crate::reminders) is_active: bool,
}

/// Schedules a reminder, whether it was sent before or not. `sent_at` is `None` unless it counts as sent.
pub(in crate::reminders) async fn set(
    tx: &mut Tx,
    id: ReminderId,
    due_at: Option<Timestamp>,
    sent_at: Option<Timestamp>,
) -> Result<(), StoreError> {
    Ok(with_conn!(tx.connection(), c => sqlx::query(SET)
        .bind(id).bind(due_at).bind(sent_at).execute(c).await.map(drop))?)
}

/// Returns when the reminder was last sent, by whichever schedule, and locks its schedule.
pub(in crate::reminders) async fn last_sent_at(tx: &mut Tx, id: ReminderId) -> Result<Option<Timestamp>, StoreError> {
    let row: Option<(Option<Timestamp>,)> =
        with_conn!(tx.connection(), c => sqlx::query_as(LAST_SENT_AT).bind(id).fetch_optional(c).await)?;
    Ok(row.and_then(|(at,)| at))
}

pub(in crate::reminders) async fn delete(tx: &mut Tx, id: ReminderId) -> Result<(), StoreError> {
    Ok(with_conn!(tx.connection(), c => sqlx::query(DELETE).bind(id).execute(c).await.map(drop))?)
}

/// Cheaper than [`lock_due`] when there are none, which is nearly always.
pub(in crate::reminders) async fn is_any_due(db: &Database, now: Timestamp) -> Result<bool, StoreError> {
    let mut reader = db.read_conn().await?;
    let (due,): (i64,) = with_conn!(reader.connection(), c => sqlx::query_as(IS_ANY_DUE).bind(now).fetch_one(c).await)?;
    Ok(due > 0)
}

/// Locks up to `limit` due reminders behind that one, in order. Leaves out those that another transaction has locked, so that nodes share
/// the work and transactions do not deadlock.
pub(in crate::reminders) async fn lock_due(
    tx: &mut Tx,
    now: Timestamp,
    after: Option<Due>,
    limit: usize,
) -> Result<Vec<Due>, StoreError> {
    let (due_at, id) = after.map_or(FIRST, |due| (due.due_at, due.id));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let on_postgres = due!(many " FOR UPDATE OF s SKIP LOCKED");
    let sql = if matches!(tx, Tx::Postgres(_)) { on_postgres } else { due!(many "") };
    Ok(with_conn!(tx.connection(), c => sqlx::query_as(sql)
        .bind(now).bind(due_at).bind(id).bind(limit).fetch_all(c).await)?)
}

/// [Locks](lock_due) that reminder, if it is still due.
pub(in crate::reminders) async fn lock_one_due(
    tx: &mut Tx,
    now: Timestamp,
    id: ReminderId,
) -> Result<Option<Due>, StoreError> {
    let on_postgres = due!(one " FOR UPDATE OF s SKIP LOCKED");
    let sql = if matches!(tx, Tx::Postgres(_)) { on_postgres } else { due!(one "") };
    Ok(with_conn!(tx.connection(), c => sqlx::query_as(sql).bind(now).bind(id).fetch_optional(c).await)?)
}

/// Marks up to [`MAX_ROWS`] [locked](lock_due) reminders as sent.
pub(in crate::reminders) async fn mark_sent(tx: &mut Tx, sent: &[Due], now: Timestamp) -> Result<(), StoreError> {
    if sent.is_empty() {
        return Ok(());
    }
    Ok(with_conn!(tx.connection(), c => {
        let query = sqlx::query(MARK_SENT.sql(sent.len())).bind(now);
        pad_with_nulls(sent.iter()).fold(query, |query, due| query.bind(due.map(|due| due.id))).execute(c).await.map(drop)
    })?)
}

/// Unschedules up to [`MAX_ROWS`] [locked](lock_due) reminders without sending them.
pub(in crate::reminders) async fn skip(tx: &mut Tx, skipped: &[Due]) -> Result<(), StoreError> {
    if skipped.is_empty() {
        return Ok(());
    }
    Ok(with_conn!(tx.connection(), c => {
        let query = sqlx::query(SKIP.sql(skipped.len()));
        pad_with_nulls(skipped.iter()).fold(query, |query, due| query.bind(due.map(|due| due.id))).execute(c).await.map(drop)
    })?)
}

/// Returns the reminder, if it was sent and is active.
pub(in crate::reminders) async fn find_sent(
    connection: Connection<'_>,
    id: ReminderId,
) -> Result<Option<Reminder>, StoreError> {
    Ok(with_conn!(connection, c => sqlx::query_as(FIND_SENT).bind(id).fetch_optional(c).await)?)
}

/// Returns the user's reminders that are scheduled and not sent, with their dates.
pub(in crate::reminders) async fn pending(
    tx: &mut Tx,
    user: UserId,
) -> Result<Vec<(ReminderId, CivilDate)>, StoreError> {
    Ok(with_conn!(tx.connection(), c => sqlx::query_as(PENDING).bind(user).fetch_all(c).await)?)
}

/// Moves [pending] reminders to other times.
pub(in crate::reminders) async fn move_all(tx: &mut Tx, moved: &[DueAt]) -> Result<(), StoreError> {
    run(tx, &MOVE, moved).await
}

/// Returns up to [`MAX_ROWS`] reminders without a schedule, by id and behind that one.
pub(in crate::reminders) async fn unscheduled(
    connection: Connection<'_>,
    after: ReminderId,
) -> Result<Vec<Unscheduled>, StoreError> {
    let limit = i64::try_from(MAX_ROWS).unwrap_or(i64::MAX);
    Ok(with_conn!(connection, c => sqlx::query_as(UNSCHEDULED).bind(after).bind(limit).fetch_all(c).await)?)
}

/// Gives [unscheduled] reminders their schedules.
pub(in crate::reminders) async fn add(tx: &mut Tx, scheduled: &[DueAt]) -> Result<(), StoreError> {
    run(tx, &ADD, scheduled).await
}

async fn run(tx: &mut Tx, statement: &'static BulkStatement, rows: &[DueAt]) -> Result<(), StoreError> {
    for page in rows.chunks(MAX_ROWS) {
        with_conn!(tx.connection(), c => {
            let mut query = sqlx::query(statement.sql(page.len()));
            for row in pad_with_nulls(page.iter()) {
                query = query.bind(row.map(|(id, _)| *id)).bind(row.and_then(|(_, due_at)| *due_at));
            }
            query.execute(c).await.map(drop)
        })?;
    }
    Ok(())
}
