//! What a user's export tells of their reminders.

use faceofmind_base::{CivilDate, Timestamp};
use faceofmind_db::Snapshot;
use serde::Serialize;
use sqlx::FromRow;

use super::ReminderId;
use faceofmind_db::export::{ExportAborted, JsonWriter, write_table};
use faceofmind_model::user::UserId;

const REMINDERS: &str = "SELECT r.id, r.title, r.description, r.reminder_time, r.is_active, r.created_at, \
    s.due_at, s.told_at FROM reminders r LEFT JOIN reminder_schedules s ON s.reminder_id = r.id \
    WHERE r.user_id = $1 AND r.id > $2 ORDER BY r.id LIMIT $3";

#[derive(FromRow, Serialize)]
struct Entry {
    id: ReminderId,
    title: String,
    description: String,
    reminder_time: CivilDate,
    is_active: bool,
    created_at: Timestamp,
    due_at: Option<Timestamp>,
    told_at: Option<Timestamp>,
}

/// Writes the user's reminders, with when each is due and when it was told: `reminders`.
///
/// # Errors
/// [`ExportAborted`].
pub async fn export(snapshot: &mut Snapshot, user: UserId, document: &mut JsonWriter) -> Result<(), ExportAborted> {
    write_table(snapshot, document, "reminders", REMINDERS, user, |reminder: &Entry| reminder.id.0).await
}
