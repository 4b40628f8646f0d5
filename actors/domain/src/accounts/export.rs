//! What an export holds of the account. Password hashes are omitted.

use faceofmind_base::Timestamp;
use faceofmind_db::{
    Snapshot, StoreError,
    export::{ExportAborted, JsonWriter, write_table},
    with_conn,
};
use faceofmind_model::{ClaimId, UserId};
use serde::Serialize;
use sqlx::FromRow;

use super::store::{Row, select_user};

const CLAIMS: &str = "SELECT c.id, c.first_name, c.last_name, c.created_at, c.network, l.language \
    FROM claims c LEFT JOIN claim_languages l ON l.claim_id = c.id \
    WHERE c.user_id = $1 AND c.id > $2 ORDER BY c.id LIMIT $3";
const ADDRESS_CHANGES: &str = "SELECT id, address, requested_at FROM address_changes \
    WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3";

#[derive(FromRow, Serialize)]
struct Claimed {
    id: ClaimId,
    first_name: String,
    last_name: String,
    created_at: Timestamp,
    /// Of the client that registered.
    network: Option<String>,
    language: Option<String>,
}

#[derive(FromRow, Serialize)]
struct AddressChange {
    id: ClaimId,
    address: String,
    requested_at: Timestamp,
}

/// Writes the account, its pending registrations and its pending e-mail change: `user`, `claims`, `address_changes`.
pub async fn export(snapshot: &mut Snapshot, user: UserId, document: &mut JsonWriter) -> Result<(), ExportAborted> {
    let row: Row = with_conn!(snapshot.connection(), c =>
        sqlx::query_as(select_user!("u.id = $1")).bind(user).fetch_one(c).await)
    .map_err(StoreError::from)?;
    document.field("user", &row).await?;
    write_table(snapshot, document, "claims", CLAIMS, user, |claim: &Claimed| claim.id.0).await?;
    write_table(snapshot, document, "address_changes", ADDRESS_CHANGES, user, |change: &AddressChange| change.id.0)
        .await
}
