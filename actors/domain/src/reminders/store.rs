//! The SQL of `reminders`.
//!
//! A transaction locks the user against a change of the time zone, then the reminder, then its row in `reminder_schedules`. So transactions
//! do not deadlock.

use faceofmind_base::Timestamp;
use faceofmind_db::{Connection, StoreError, Tx, with_conn};
use faceofmind_model::{Page, PageRequest, ReminderId, UserId};

use super::{NewReminder, Reminder};

pub(super) mod schedule;

macro_rules! columns {
    ($before:literal, $rest:literal) => {
        concat!($before, " id, user_id, title, description, reminder_time, is_active, created_at ", $rest)
    };
}

const INSERT: &str = columns!(
    "INSERT INTO reminders (user_id, title, description, reminder_time, is_active, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6) RETURNING",
    ""
);
const COUNT: &str = "SELECT count(*) FROM reminders WHERE user_id = $1";
const GET: &str = columns!("SELECT", "FROM reminders WHERE id = $1 AND user_id = $2");
pub(super) const LIST: &str =
    columns!("SELECT", "FROM reminders WHERE user_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3 OFFSET $4");
const LOCK: &str = columns!("UPDATE reminders SET title = title WHERE id = $1 AND user_id = $2 RETURNING", "");
const SAVE: &str =
    "UPDATE reminders SET title = $2, description = $3, reminder_time = $4, is_active = $5 WHERE id = $1";
const DELETE: &str = "DELETE FROM reminders WHERE id = $1";
const ERASE_SCHEDULES: &str =
    "DELETE FROM reminder_schedules WHERE reminder_id IN (SELECT id FROM reminders WHERE user_id = $1)";
const ERASE: &str = "DELETE FROM reminders WHERE user_id = $1";

pub(super) async fn insert(
    tx: &mut Tx,
    user: UserId,
    new: &NewReminder,
    now: Timestamp,
) -> Result<Reminder, StoreError> {
    let NewReminder { title, description, reminder_time, is_active } = new;
    Ok(with_conn!(tx.connection(), c => sqlx::query_as(INSERT)
        .bind(user).bind(title).bind(description).bind(*reminder_time).bind(*is_active).bind(now)
        .fetch_one(c).await)?)
}

pub(super) async fn count(tx: &mut Tx, user: UserId) -> Result<i64, StoreError> {
    Ok(with_conn!(tx.connection(), c => sqlx::query_scalar(COUNT).bind(user).fetch_one(c).await)?)
}

pub(super) async fn get(
    connection: Connection<'_>,
    user: UserId,
    id: ReminderId,
) -> Result<Option<Reminder>, StoreError> {
    Ok(with_conn!(connection, c => sqlx::query_as(GET).bind(id).bind(user).fetch_optional(c).await)?)
}

/// Lists newest first.
pub(super) async fn list(
    connection: Connection<'_>,
    request: PageRequest<ReminderId>,
) -> Result<Page<Reminder, ReminderId>, StoreError> {
    let rows = with_conn!(connection, c => sqlx::query_as(LIST)
        .bind(request.reader).bind(request.after.unwrap_or(ReminderId(i64::MAX))).bind(request.rows()).bind(i64::from(request.skip))
        .fetch_all(c).await)?;
    Ok(request.page(rows, |reminder: &Reminder| reminder.id))
}

/// Locks the user's reminder until the transaction ends, and reads it.
pub(super) async fn lock(tx: &mut Tx, user: UserId, id: ReminderId) -> Result<Option<Reminder>, StoreError> {
    Ok(with_conn!(tx.connection(), c => sqlx::query_as(LOCK).bind(id).bind(user).fetch_optional(c).await)?)
}

pub(super) async fn save(tx: &mut Tx, reminder: &Reminder) -> Result<(), StoreError> {
    let Reminder { id, title, description, reminder_time, is_active, .. } = reminder;
    Ok(with_conn!(tx.connection(), c => sqlx::query(SAVE)
        .bind(*id).bind(title).bind(description).bind(*reminder_time).bind(*is_active)
        .execute(c).await.map(drop))?)
}

/// Deletes a reminder that is [locked](lock).
pub(super) async fn delete(tx: &mut Tx, id: ReminderId) -> Result<(), StoreError> {
    schedule::delete(tx, id).await?;
    Ok(with_conn!(tx.connection(), c => sqlx::query(DELETE).bind(id).execute(c).await.map(drop))?)
}

/// Deletes the user's reminders.
pub async fn erase(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    for sql in [ERASE_SCHEDULES, ERASE] {
        with_conn!(tx.connection(), c => sqlx::query(sql).bind(user).execute(c).await.map(drop))?;
    }
    Ok(())
}
