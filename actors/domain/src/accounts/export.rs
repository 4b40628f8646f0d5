//! What a user's export tells of the account. The password's hash and those of claims stay here.

use faceofmind_base::Timestamp;
use faceofmind_db::{Snapshot, with_conn};
use faceofmind_runtime::legacy::Failure;
use serde::Serialize;
use sqlx::FromRow;

use super::{ClaimId, UserId};
use faceofmind_db::export::{ExportAborted, JsonWriter, write_table};

const USER: &str = "SELECT u.id, u.email, u.first_name, u.last_name, u.role, u.status, u.created_at, \
    p.time_zone, p.language, p.verified_at, p.revision, p.claims_made \
    FROM users u LEFT JOIN user_profiles p ON p.user_id = u.id WHERE u.id = $1";
const CLAIMS: &str = "SELECT c.id, c.first_name, c.last_name, c.created_at, l.language \
    FROM claims c LEFT JOIN claim_languages l ON l.claim_id = c.id \
    WHERE c.user_id = $1 AND c.id > $2 ORDER BY c.id LIMIT $3";
const ADDRESS_CHANGES: &str = "SELECT id, address, requested_at FROM address_changes \
    WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3";

#[derive(FromRow, Serialize)]
struct Account {
    id: UserId,
    email: String,
    first_name: String,
    last_name: String,
    role: String,
    status: String,
    created_at: Timestamp,
    time_zone: Option<String>,
    language: Option<String>,
    verified_at: Option<Timestamp>,
    revision: Option<i64>,
    claims_made: Option<i32>,
}

#[derive(FromRow, Serialize)]
struct Claimed {
    id: ClaimId,
    first_name: String,
    last_name: String,
    created_at: Timestamp,
    language: Option<String>,
}

#[derive(FromRow, Serialize)]
struct AddressChange {
    id: ClaimId,
    address: String,
    requested_at: Timestamp,
}

/// Writes the account, with what is set beside it, the claims on its address, and where it is asked to be moved: `user`, `claims`,
/// `address_changes`.
///
/// # Errors
/// [`ExportAborted`], also when there is no such user.
pub async fn export(snapshot: &mut Snapshot, user: UserId, document: &mut JsonWriter) -> Result<(), ExportAborted> {
    let account: Account = with_conn!(snapshot.connection(), c => sqlx::query_as(USER).bind(user).fetch_one(c).await)
        .map_err(Failure::from)?;
    document.field("user", &account).await?;
    write_table(snapshot, document, "claims", CLAIMS, user, |claim: &Claimed| claim.id.0).await?;
    write_table(snapshot, document, "address_changes", ADDRESS_CHANGES, user, |change: &AddressChange| change.id.0)
        .await
}
