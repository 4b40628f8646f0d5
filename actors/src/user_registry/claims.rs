//! The SQL of registering: `users`, and the claims that people make on an address until its code is typed.

use std::time::Duration;

use faceofmind_kit::{Failure, Timestamp, Tx, on};
use sqlx::FromRow;

use super::{ClaimId, Email, Status, UserId, store::Account};
use crate::hasher::PasswordHash;

/// Accounts that are never verified go after so long.
pub(super) const UNVERIFIED: Duration = Duration::from_secs(30 * 24 * 3600);

/// Claims on one address at a time; a fourth replaces the oldest.
const LIVE_CLAIMS: i64 = 3;

/// What somebody says of themself when they register.
#[derive(Clone, Debug)]
pub(super) struct NewClaim<'a> {
    pub(super) email: &'a Email,
    pub(super) first_name: &'a str,
    pub(super) last_name: &'a str,
    pub(super) password: &'a PasswordHash,
    pub(super) language: Option<&'a str>,
}

/// A claim as it is kept.
#[derive(Clone, Debug, FromRow)]
pub(super) struct Claim {
    pub(super) id: ClaimId,
    pub(super) first_name: String,
    pub(super) last_name: String,
    password: String,
    pub(super) created_at: Timestamp,
}

impl Claim {
    pub(super) fn password(&self) -> PasswordHash {
        PasswordHash::stored(self.password.clone())
    }
}

/// What became of a claim.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    pub(super) user: UserId,
    pub(super) claim: ClaimId,
    /// The address was not known before.
    pub(super) is_new: bool,
}

/// Keeps a claim. An unknown address becomes an inactive account; an inactive account's row mirrors the newest claim; an active one
/// stays as it is. The statements are the same in each case, so that time does not tell which it was.
pub(super) async fn make(tx: &mut Tx, claim: &NewClaim<'_>, now: Timestamp) -> Result<Made, Failure> {
    let mirror = "INSERT INTO users (email, first_name, last_name, password, role, status, created_at) \
        VALUES ($1, $2, $3, $4, 'user', 'inactive', $5) ON CONFLICT (email) DO UPDATE SET \
        first_name = CASE users.status WHEN 'inactive' THEN excluded.first_name ELSE users.first_name END, \
        last_name = CASE users.status WHEN 'inactive' THEN excluded.last_name ELSE users.last_name END, \
        password = CASE users.status WHEN 'inactive' THEN excluded.password ELSE users.password END \
        RETURNING id, status";
    let (user, status): (UserId, String) = on!(tx.connection(), c => sqlx::query_as(mirror)
        .bind(claim.email.as_str()).bind(claim.first_name).bind(claim.last_name)
        .bind(claim.password.as_str()).bind(now).fetch_one(c).await)?;
    let count = "INSERT INTO user_profiles (user_id, revision, claims_made, language) VALUES ($1, 1, 1, $2) \
        ON CONFLICT (user_id) DO UPDATE SET claims_made = user_profiles.claims_made + $3, \
        revision = user_profiles.revision + $3 RETURNING claims_made, revision";
    let counts = i32::from(status == Status::Inactive.as_str());
    let (claims_made, revision): (i32, i64) = on!(tx.connection(), c => sqlx::query_as(count)
        .bind(user).bind(claim.language).bind(counts).fetch_one(c).await)?;
    let id = keep(tx, user, claim, now).await?;
    Ok(Made { user, claim: id, is_new: counts == 1 && claims_made == 1 && revision == 1 })
}

async fn keep(tx: &mut Tx, user: UserId, claim: &NewClaim<'_>, now: Timestamp) -> Result<ClaimId, Failure> {
    let insert = "INSERT INTO claims (user_id, first_name, last_name, password, created_at) \
        VALUES ($1, $2, $3, $4, $5) RETURNING id";
    let (id,): (ClaimId,) = on!(tx.connection(), c => sqlx::query_as(insert)
        .bind(user).bind(claim.first_name).bind(claim.last_name).bind(claim.password.as_str()).bind(now)
        .fetch_one(c).await)?;
    let replace = "DELETE FROM claims WHERE user_id = $1 AND id NOT IN \
        (SELECT id FROM claims WHERE user_id = $1 ORDER BY id DESC LIMIT $2)";
    on!(tx.connection(), c => sqlx::query(replace).bind(user).bind(LIVE_CLAIMS).execute(c).await.map(drop))?;
    Ok(id)
}

/// The claim that a code was mailed for, if it still lives.
pub(super) async fn find(tx: &mut Tx, user: UserId, claim: ClaimId) -> Result<Option<Claim>, Failure> {
    let select = "SELECT id, first_name, last_name, password, created_at FROM claims WHERE user_id = $1 AND id = $2";
    Ok(on!(tx.connection(), c => sqlx::query_as(select).bind(user).bind(claim).fetch_optional(c).await)?)
}

/// The newest claim, which the account's row mirrors; made from the row where there is none, as for an account that an admin has set
/// back to inactive.
pub(super) async fn newest(tx: &mut Tx, account: &Account, now: Timestamp) -> Result<Option<ClaimId>, Failure> {
    let select = "SELECT id FROM claims WHERE user_id = $1 ORDER BY id DESC LIMIT 1";
    let user = &account.user;
    let found: Option<(ClaimId,)> =
        on!(tx.connection(), c => sqlx::query_as(select).bind(user.id).fetch_optional(c).await)?;
    match (found, &account.password) {
        (Some((id,)), _) => Ok(Some(id)),
        (None, None) => Ok(None),
        (None, Some(password)) => {
            let (first_name, last_name) = (user.first_name.as_str(), user.last_name.as_str());
            let claim = NewClaim { email: &user.email, first_name, last_name, password, language: None };
            keep(tx, user.id, &claim, now).await.map(Some)
        }
    }
}

/// Ends every claim on the user's address.
pub(super) async fn end_all(tx: &mut Tx, user: UserId) -> Result<(), Failure> {
    let delete = "DELETE FROM claims WHERE user_id = $1";
    Ok(on!(tx.connection(), c => sqlx::query(delete).bind(user).execute(c).await.map(drop))?)
}

/// Accounts that nobody ever verified, whose last claim was made before `before`.
pub(super) async fn never_verified(tx: &mut Tx, before: Timestamp) -> Result<Vec<UserId>, Failure> {
    let select = "SELECT u.id FROM users u JOIN user_profiles p ON p.user_id = u.id \
        WHERE u.status = 'inactive' AND p.verified_at IS NULL AND u.created_at < $1 \
        AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.user_id = u.id AND c.created_at >= $1) LIMIT 100";
    let rows: Vec<(UserId,)> = on!(tx.connection(), c => sqlx::query_as(select).bind(before).fetch_all(c).await)?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Ends the claims that were made on addresses of accounts that need none, a day after.
pub(super) async fn sweep(tx: &mut Tx, before: Timestamp) -> Result<(), Failure> {
    let delete =
        "DELETE FROM claims WHERE created_at < $1 AND user_id NOT IN (SELECT id FROM users WHERE status = 'inactive')";
    Ok(on!(tx.connection(), c => sqlx::query(delete).bind(before).execute(c).await.map(drop))?)
}
