//! What a user's export tells of the account. The password's hash and those of claims stay here.

use faceofmind_kit::{Failure, Snapshot, Timestamp, on};
use serde::Serialize;
use sqlx::FromRow;

use super::{ClaimId, UserId};
use crate::exporter::{CutShort, Document, table};

const USER: &str = "SELECT u.id, u.email, u.first_name, u.last_name, u.role, u.status, u.created_at, \
    p.time_zone, p.language, p.verified_at, p.revision, p.claims_made \
    FROM users u LEFT JOIN user_profiles p ON p.user_id = u.id WHERE u.id = $1";
const CLAIMS: &str = "SELECT id, first_name, last_name, created_at FROM claims \
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
}

/// Writes the account, with what is set beside it, and the claims on its address: `user`, `claims`.
///
/// # Errors
/// [`CutShort`], also when there is no such user.
pub async fn export(snapshot: &mut Snapshot, user: UserId, document: &mut Document) -> Result<(), CutShort> {
    let account: Account =
        on!(snapshot.connection(), c => sqlx::query_as(USER).bind(user).fetch_one(c).await).map_err(Failure::from)?;
    document.field("user", &account).await?;
    table(snapshot, document, "claims", CLAIMS, user, |claim: &Claimed| claim.id.0).await
}
