//! A user's reminders in their data export.

use faceofmind_base::{CivilDate, Timestamp};
use faceofmind_db::{
    Snapshot,
    export::{ExportAborted, JsonWriter, write_table},
};
use faceofmind_model::{ReminderId, UserId};
use serde::Serialize;
use sqlx::FromRow;

const REMINDERS: &str = "SELECT r.id, r.title, r.description, r.reminder_time, r.is_active, r.created_at, \
    s.due_at, s.told_at, s.last_told_at FROM reminders r LEFT JOIN reminder_schedules s ON s.reminder_id = r.id \
    WHERE r.user_id = $1 AND r.id > $2 ORDER BY r.id LIMIT $3";

#[derive(FromRow, Serialize)]
struct ExportedReminder {
    id: ReminderId,
    title: String,
    description: String,
    reminder_time: CivilDate,
    is_active: bool,
    created_at: Timestamp,
    due_at: Option<Timestamp>,
    /// When it was sent.
    told_at: Option<Timestamp>,
    /// When an earlier schedule of it was sent.
    last_told_at: Option<Timestamp>,
}

/// Writes `reminders`.
pub async fn export(snapshot: &mut Snapshot, user: UserId, writer: &mut JsonWriter) -> Result<(), ExportAborted> {
    write_table(snapshot, writer, "reminders", REMINDERS, user, |reminder: &ExportedReminder| reminder.id.0).await
}
