//! What a user's export tells of their log-ins. What tokens are made from stays here.

use faceofmind_base::Timestamp;
use faceofmind_db::Snapshot;
use serde::Serialize;
use sqlx::FromRow;

use super::LoginId;
use faceofmind_db::export::{ExportAborted, JsonWriter, write_table};
use faceofmind_model::user::UserId;

const LOGINS: &str = "SELECT id, device, address, created_at, last_used_at, expires_at, ended_at FROM logins \
    WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3";

#[derive(FromRow, Serialize)]
struct Entry {
    id: LoginId,
    device: String,
    address: String,
    created_at: Timestamp,
    last_used_at: Timestamp,
    expires_at: Timestamp,
    ended_at: Option<Timestamp>,
}

/// Writes the user's log-ins, those that ended too: `logins`.
///
/// # Errors
/// [`ExportAborted`].
pub async fn export(snapshot: &mut Snapshot, user: UserId, document: &mut JsonWriter) -> Result<(), ExportAborted> {
    write_table(snapshot, document, "logins", LOGINS, user, |login: &Entry| login.id.0).await
}
