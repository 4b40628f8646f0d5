//! The SQL of registering: `users`, and the claims that people make on an address until its code is typed.

use faceofmind_base::Timestamp;
use faceofmind_db::{Connection, Tx, with_conn};
use faceofmind_runtime::legacy::Failure;
use sqlx::FromRow;

use super::{ClaimId, Email, Status, UserId, store::Account};
use faceofmind_platform::password_hasher::PasswordHash;

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
#[derive(FromRow)]
pub(super) struct Claim {
    pub(super) id: ClaimId,
    pub(super) first_name: String,
    pub(super) last_name: String,
    password: String,
    pub(super) created_at: Timestamp,
    /// Where it is known, BCP 47.
    pub(super) language: Option<String>,
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
    let (user, is_inactive, is_older) = mirror(tx, claim, now).await?;
    let revision = count(tx, user, claim.language, is_inactive, is_older).await?;
    let id = keep(tx, user, claim, now).await?;
    Ok(Made { user, claim: id, is_new: !is_older && revision == 1 })
}

/// Whose address it is, whether the account is inactive, and whether its row is older than this claim.
async fn mirror(tx: &mut Tx, claim: &NewClaim<'_>, now: Timestamp) -> Result<(UserId, bool, bool), Failure> {
    let mirror = "INSERT INTO users (email, first_name, last_name, password, role, status, created_at) \
        VALUES ($1, $2, $3, $4, 'user', 'inactive', $5) ON CONFLICT (email) DO UPDATE SET \
        first_name = CASE users.status WHEN 'inactive' THEN excluded.first_name ELSE users.first_name END, \
        last_name = CASE users.status WHEN 'inactive' THEN excluded.last_name ELSE users.last_name END, \
        password = CASE users.status WHEN 'inactive' THEN excluded.password ELSE users.password END \
        RETURNING id, status, created_at";
    let (user, status, created_at): (UserId, String, Timestamp) = with_conn!(tx.connection(), c => sqlx::query_as(mirror)
        .bind(claim.email.as_str()).bind(claim.first_name).bind(claim.last_name)
        .bind(claim.password.as_str()).bind(now).fetch_one(c).await)?;
    Ok((user, status == Status::Inactive.as_str(), created_at != now))
}

/// Counts the claim, if the row mirrors it; the revision is then another. A row of the predecessor, which nothing was known of before,
/// stands for a claim of its own. The first claim's language is the account's until another is proven or set.
async fn count(
    tx: &mut Tx,
    user: UserId,
    language: Option<&str>,
    is_inactive: bool,
    is_older: bool,
) -> Result<i64, Failure> {
    let count = "INSERT INTO user_profiles (user_id, revision, claims_made, language) VALUES ($1, 1, $2, $3) \
        ON CONFLICT (user_id) DO UPDATE SET claims_made = user_profiles.claims_made + $4, \
        revision = user_profiles.revision + $4 RETURNING revision";
    let first = 1 + i32::from(is_inactive && is_older);
    let (revision,): (i64,) = with_conn!(tx.connection(), c => sqlx::query_as(count)
        .bind(user).bind(first).bind(language.filter(|_| is_inactive)).bind(i32::from(is_inactive))
        .fetch_one(c).await)?;
    Ok(revision)
}

async fn keep(tx: &mut Tx, user: UserId, claim: &NewClaim<'_>, now: Timestamp) -> Result<ClaimId, Failure> {
    let insert = "INSERT INTO claims (user_id, first_name, last_name, password, created_at) \
        VALUES ($1, $2, $3, $4, $5) RETURNING id";
    let (id,): (ClaimId,) = with_conn!(tx.connection(), c => sqlx::query_as(insert)
        .bind(user).bind(claim.first_name).bind(claim.last_name).bind(claim.password.as_str()).bind(now)
        .fetch_one(c).await)?;
    if let Some(language) = claim.language {
        let insert = "INSERT INTO claim_languages (claim_id, language) VALUES ($1, $2)";
        with_conn!(tx.connection(), c => sqlx::query(insert).bind(id).bind(language).execute(c).await.map(drop))?;
    }
    let replace = "DELETE FROM claims WHERE user_id = $1 AND id NOT IN \
        (SELECT id FROM claims WHERE user_id = $1 ORDER BY id DESC LIMIT $2)";
    with_conn!(tx.connection(), c => sqlx::query(replace).bind(user).bind(LIVE_CLAIMS).execute(c).await.map(drop))?;
    Ok(id)
}

/// The claim that a code was mailed for, if it still lives.
pub(super) async fn find(connection: Connection<'_>, user: UserId, claim: ClaimId) -> Result<Option<Claim>, Failure> {
    let select = "SELECT c.id, c.first_name, c.last_name, c.password, c.created_at, l.language \
        FROM claims c LEFT JOIN claim_languages l ON l.claim_id = c.id WHERE c.user_id = $1 AND c.id = $2";
    Ok(with_conn!(connection, c => sqlx::query_as(select).bind(user).bind(claim).fetch_optional(c).await)?)
}

/// The newest claim, which the account's row mirrors; made from the row where there is none, as for an account that an admin has set
/// back to inactive.
pub(super) async fn newest(tx: &mut Tx, account: &Account, now: Timestamp) -> Result<Option<ClaimId>, Failure> {
    let select = "SELECT id FROM claims WHERE user_id = $1 ORDER BY id DESC LIMIT 1";
    let user = &account.user;
    let found: Option<(ClaimId,)> =
        with_conn!(tx.connection(), c => sqlx::query_as(select).bind(user.id).fetch_optional(c).await)?;
    match (found, &account.password) {
        (Some((id,)), _) => Ok(Some(id)),
        (None, None) => Ok(None),
        (None, Some(password)) => {
            let (first_name, last_name) = (user.first_name.as_str(), user.last_name.as_str());
            let language = user.language.as_deref();
            let claim = NewClaim { email: &user.email, first_name, last_name, password, language };
            keep(tx, user.id, &claim, now).await.map(Some)
        }
    }
}

/// Ends every claim on the user's address.
pub(super) async fn end_all(tx: &mut Tx, user: UserId) -> Result<(), Failure> {
    let delete = "DELETE FROM claims WHERE user_id = $1";
    Ok(with_conn!(tx.connection(), c => sqlx::query(delete).bind(user).execute(c).await.map(drop))?)
}

macro_rules! never_verified {
    ($what:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM users u JOIN user_profiles p ON p.user_id = u.id ",
            "WHERE u.status = 'inactive' AND p.verified_at IS NULL AND u.created_at < $1 ",
            "AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.user_id = u.id AND c.created_at >= $1) ",
            $rest
        )
    };
}

/// Accounts that nobody ever verified, whose last claim was made before `before`.
pub(super) async fn never_verified(connection: Connection<'_>, before: Timestamp) -> Result<Vec<UserId>, Failure> {
    let select = never_verified!("u.id", "ORDER BY u.id");
    let rows: Vec<(UserId,)> = with_conn!(connection, c => sqlx::query_as(select).bind(before).fetch_all(c).await)?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Whether this account, which the caller has locked, is one of them.
pub(super) async fn is_never_verified(tx: &mut Tx, user: UserId, before: Timestamp) -> Result<bool, Failure> {
    let select = never_verified!("count(*)", "AND u.id = $2");
    let (found,): (i64,) =
        with_conn!(tx.connection(), c => sqlx::query_as(select).bind(before).bind(user).fetch_one(c).await)?;
    Ok(found > 0)
}

/// Ends the claims made before `before` on addresses of accounts that need none.
pub(super) async fn sweep(tx: &mut Tx, before: Timestamp) -> Result<(), Failure> {
    let delete = "DELETE FROM claims WHERE created_at < $1 AND NOT EXISTS \
        (SELECT 1 FROM users u WHERE u.id = claims.user_id AND u.status = 'inactive')";
    Ok(with_conn!(tx.connection(), c => sqlx::query(delete).bind(before).execute(c).await.map(drop))?)
}
