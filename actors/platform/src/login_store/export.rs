//! What an export of a user holds of their logins. It leaves out what tokens are made from.

use faceofmind_base::Timestamp;
use faceofmind_db::{
    Snapshot,
    export::{ExportAborted, JsonWriter, write_table},
};
use faceofmind_model::{LoginId, UserId};
use serde::Serialize;
use sqlx::FromRow;

const LOGINS: &str = "SELECT id, device, address, created_at, last_used_at, expires_at, ended_at FROM logins \
    WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3";

/// One login. The field names are the document's.
#[derive(FromRow, Serialize)]
struct LoginExport {
    id: LoginId,
    device: String,
    address: String,
    created_at: Timestamp,
    last_used_at: Timestamp,
    expires_at: Timestamp,
    ended_at: Option<Timestamp>,
}

const KNOWN_NETWORKS: &str = "SELECT id, network, proven_at FROM known_networks \
    WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3";

/// A network from which the user entered what was mailed. The field names are the document's.
#[derive(FromRow, Serialize)]
struct KnownNetworkExport {
    id: i64,
    network: String,
    proven_at: Timestamp,
}

/// Writes the user's logins, also those that have ended, as `logins`, and the networks that the account knows beside theirs.
pub async fn export(snapshot: &mut Snapshot, user: UserId, document: &mut JsonWriter) -> Result<(), ExportAborted> {
    write_table(snapshot, document, "logins", LOGINS, user, |login: &LoginExport| login.id.0).await?;
    let key = |network: &KnownNetworkExport| network.id;
    write_table(snapshot, document, "known_networks", KNOWN_NETWORKS, user, key).await
}
