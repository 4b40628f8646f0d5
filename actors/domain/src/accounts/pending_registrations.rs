//! The SQL of registering: `users`, and `claims`, the pending registrations of an address until the code of one of them is entered.

use std::time::Duration;

use faceofmind_base::Timestamp;
use faceofmind_db::{Connection, StoreError, Tx, with_conn};
use faceofmind_model::{ClaimId, Email, Status, UserId};
use faceofmind_platform::password_hasher::PasswordHash;
use sqlx::FromRow;

use super::{
    PendingCredentials,
    store::{Account, lock_address},
};

/// Pending registrations of one address. One more replaces the oldest, unless each of them is younger than [`MAIL_DELAY`] and the lifetime
/// of a code: then a code for it may be on its way, and one more is not stored. A code would not be sent for it either, within the quota.
const MAX_PENDING: i64 = 3;
/// Of them, those from one client that are as young.
const MAX_FRESH_PER_CLIENT: i64 = 2;
/// The time that the mail with a code may take.
const MAIL_DELAY: Duration = Duration::from_secs(300);
/// The id that no registration has.
const NOT_STORED: ClaimId = ClaimId(0);

/// A registration to be stored.
pub(super) struct NewRegistration<'a> {
    pub(super) email: &'a Email,
    pub(super) first_name: &'a str,
    pub(super) last_name: &'a str,
    pub(super) password: &'a PasswordHash,
    pub(super) language: Option<&'a str>,
    /// The network of the client. Empty if the client is not the registrant.
    pub(super) network: &'a str,
}

/// A stored registration that is not verified.
#[derive(FromRow)]
pub(super) struct PendingRegistration {
    pub(super) id: ClaimId,
    pub(super) first_name: String,
    pub(super) last_name: String,
    password: String,
    pub(super) created_at: Timestamp,
    /// BCP 47 tag of the client, where known.
    pub(super) language: Option<String>,
    /// Whether the address has other pending registrations.
    pub(super) has_others: bool,
}

impl PendingRegistration {
    pub(super) fn password(&self) -> PasswordHash {
        PasswordHash::stored(self.password.clone())
    }
}

/// The rows of a stored registration.
pub(super) struct RegistrationRow {
    pub(super) user: UserId,
    /// That of no registration if this one was not stored.
    pub(super) claim: ClaimId,
    /// Whether the address was unknown before.
    pub(super) is_new: bool,
}

/// Stores a registration. An unknown address gets an inactive account. The row of an inactive account takes the newest registration; an
/// active account does not change. The statements are the same in each case, so that timing does not reveal which it was.
pub(super) async fn upsert(
    tx: &mut Tx,
    new: &NewRegistration<'_>,
    now: Timestamp,
    code_lifetime: Duration,
) -> Result<RegistrationRow, StoreError> {
    lock_address(tx, new.email).await?;
    if let Some(user) = find_full(tx, new, now - code_lifetime - MAIL_DELAY).await? {
        return Ok(RegistrationRow { user, claim: NOT_STORED, is_new: false });
    }
    let (user, is_inactive, created_at) = upsert_user(tx, new, now).await?;
    let older = Some(created_at).filter(|created_at| *created_at != now);
    let revision = bump(tx, user, new.language, is_inactive, older).await?;
    let claim = insert(tx, user, new, now).await?;
    Ok(RegistrationRow { user, claim, is_new: older.is_none() && revision == 1 })
}

/// Returns the user of the address if it has as many registrations as it may, or as the client may make, all made after `after`.
async fn find_full(tx: &mut Tx, new: &NewRegistration<'_>, after: Timestamp) -> Result<Option<UserId>, StoreError> {
    let select = "SELECT u.id FROM users u WHERE lower(u.email) = $1 AND u.status <> 'erasing' \
        AND ((SELECT count(*) FROM claims c WHERE c.user_id = u.id AND c.created_at > $2) >= $3 \
        OR (SELECT count(*) FROM claims c WHERE c.user_id = u.id AND c.created_at > $2 AND c.network = $4) >= $5)";
    let full: Option<(UserId,)> = with_conn!(tx.connection(), c => sqlx::query_as(select)
        .bind(new.email.as_str()).bind(after).bind(MAX_PENDING).bind(new.network).bind(MAX_FRESH_PER_CLIENT)
        .fetch_optional(c).await)?;
    Ok(full.map(|(user,)| user))
}

/// Locks the user's row. Returns its id, whether the account is inactive, and when the row was created.
async fn upsert_user(
    tx: &mut Tx,
    new: &NewRegistration<'_>,
    now: Timestamp,
) -> Result<(UserId, bool, Timestamp), StoreError> {
    let upsert = "INSERT INTO users (email, first_name, last_name, password, role, status, created_at) \
        VALUES ($1, $2, $3, $4, 'user', 'inactive', $5) ON CONFLICT (lower(email)) DO UPDATE SET \
        first_name = CASE users.status WHEN 'inactive' THEN excluded.first_name ELSE users.first_name END, \
        last_name = CASE users.status WHEN 'inactive' THEN excluded.last_name ELSE users.last_name END, \
        password = CASE users.status WHEN 'inactive' THEN excluded.password ELSE users.password END \
        RETURNING id, status, created_at";
    let (user, status, created_at): (UserId, String, Timestamp) = with_conn!(tx.connection(), c => sqlx::query_as(upsert)
        .bind(new.email.as_str()).bind(new.first_name).bind(new.last_name)
        .bind(new.password.as_str()).bind(now).fetch_one(c).await)?;
    Ok((user, status == Status::Inactive.as_str(), created_at))
}

/// Counts the registration and bumps the revision, if the user's row took it. `older` is when the row was created, where that was before this
/// registration. Such a user without a profile is of the earlier program and stands for a registration of its own. The first registration's
/// language is the account's until another is verified or set.
async fn bump(
    tx: &mut Tx,
    user: UserId,
    language: Option<&str>,
    is_inactive: bool,
    older: Option<Timestamp>,
) -> Result<i64, StoreError> {
    let bump = "INSERT INTO user_profiles (user_id, revision, claims_made, language, registered_elsewhere_at) \
        VALUES ($1, 1, $2, $3, $5) \
        ON CONFLICT (user_id) DO UPDATE SET claims_made = user_profiles.claims_made + $4, \
        revision = user_profiles.revision + $4 RETURNING revision";
    let first = 1 + i32::from(is_inactive && older.is_some());
    let (revision,): (i64,) = with_conn!(tx.connection(), c => sqlx::query_as(bump)
        .bind(user).bind(first).bind(language.filter(|_| is_inactive)).bind(i32::from(is_inactive)).bind(older)
        .fetch_one(c).await)?;
    Ok(revision)
}

async fn insert(tx: &mut Tx, user: UserId, new: &NewRegistration<'_>, now: Timestamp) -> Result<ClaimId, StoreError> {
    let insert = "INSERT INTO claims (user_id, first_name, last_name, password, created_at, network) \
        VALUES ($1, $2, $3, $4, $5, $6) RETURNING id";
    let (id,): (ClaimId,) = with_conn!(tx.connection(), c => sqlx::query_as(insert)
        .bind(user).bind(new.first_name).bind(new.last_name).bind(new.password.as_str()).bind(now)
        .bind(new.network).fetch_one(c).await)?;
    if let Some(language) = new.language {
        let insert = "INSERT INTO claim_languages (claim_id, language) VALUES ($1, $2)";
        with_conn!(tx.connection(), c => sqlx::query(insert).bind(id).bind(language).execute(c).await.map(drop))?;
    }
    let replace = "DELETE FROM claims WHERE user_id = $1 AND id NOT IN \
        (SELECT id FROM claims WHERE user_id = $1 ORDER BY id DESC LIMIT $2)";
    with_conn!(tx.connection(), c => sqlx::query(replace).bind(user).bind(MAX_PENDING).execute(c).await.map(drop))?;
    Ok(id)
}

/// Returns the registration that a code was sent for, unless it was replaced or verified.
pub(super) async fn find(
    connection: Connection<'_>,
    user: UserId,
    claim: ClaimId,
) -> Result<Option<PendingRegistration>, StoreError> {
    let select = "SELECT c.id, c.first_name, c.last_name, c.password, c.created_at, l.language, \
        EXISTS (SELECT 1 FROM claims o WHERE o.user_id = c.user_id AND o.id <> c.id) AS has_others \
        FROM claims c LEFT JOIN claim_languages l ON l.claim_id = c.id WHERE c.user_id = $1 AND c.id = $2";
    Ok(with_conn!(connection, c => sqlx::query_as(select).bind(user).bind(claim).fetch_optional(c).await)?)
}

/// Returns the newest registration with its password.
pub(super) async fn newest(connection: Connection<'_>, user: UserId) -> Result<Option<PendingCredentials>, StoreError> {
    let select = "SELECT id, password FROM claims WHERE user_id = $1 ORDER BY id DESC LIMIT 1";
    let found: Option<(ClaimId, String)> =
        with_conn!(connection, c => sqlx::query_as(select).bind(user).fetch_optional(c).await)?;
    Ok(found
        .map(|(registration, password)| PendingCredentials { registration, password: PasswordHash::stored(password) }))
}

/// Returns the newest registration. Where an inactive account has none, as one that an admin has set back, it is made from the account's row.
pub(super) async fn newest_or_own(
    tx: &mut Tx,
    account: &Account,
    now: Timestamp,
) -> Result<Option<ClaimId>, StoreError> {
    let user = &account.user;
    let found = newest(tx.connection(), user.id).await?;
    match (found, &account.password) {
        (Some(PendingCredentials { registration, .. }), _) => Ok(Some(registration)),
        (None, None) => Ok(None),
        (None, _) if user.status != Status::Inactive => Ok(None),
        (None, Some(password)) => {
            let (first_name, last_name) = (user.first_name.as_str(), user.last_name.as_str());
            let language = user.language.as_deref();
            let new = NewRegistration { email: &user.email, first_name, last_name, password, language, network: "" };
            insert(tx, user.id, &new, now).await.map(Some)
        }
    }
}

/// Deletes every pending registration of the user's address.
pub(super) async fn delete_all(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    let delete = "DELETE FROM claims WHERE user_id = $1";
    Ok(with_conn!(tx.connection(), c => sqlx::query(delete).bind(user).execute(c).await.map(drop))?)
}

macro_rules! never_verified {
    ($what:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM users u JOIN user_profiles p ON p.user_id = u.id ",
            "WHERE u.status = 'inactive' AND p.verified_at IS NULL AND p.registered_elsewhere_at IS NULL ",
            "AND u.created_at < $1 ",
            "AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.user_id = u.id AND c.created_at >= $1) ",
            $rest
        )
    };
}

/// Returns the accounts that this program registered, that were never verified, and whose last registration is older than `before`.
pub(super) async fn never_verified(connection: Connection<'_>, before: Timestamp) -> Result<Vec<UserId>, StoreError> {
    let select = never_verified!("u.id", "ORDER BY u.id");
    let rows: Vec<(UserId,)> = with_conn!(connection, c => sqlx::query_as(select).bind(before).fetch_all(c).await)?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Whether this account, which the caller has locked, is one of them.
pub(super) async fn is_expired(tx: &mut Tx, user: UserId, before: Timestamp) -> Result<bool, StoreError> {
    let select = never_verified!("count(*)", "AND u.id = $2");
    let (found,): (i64,) =
        with_conn!(tx.connection(), c => sqlx::query_as(select).bind(before).bind(user).fetch_one(c).await)?;
    Ok(found > 0)
}

/// Deletes the registrations older than `before` whose accounts are no longer inactive, or are of another program and stay.
pub(super) async fn sweep(tx: &mut Tx, before: Timestamp) -> Result<(), StoreError> {
    let delete = "DELETE FROM claims WHERE created_at < $1 AND NOT EXISTS \
        (SELECT 1 FROM users u JOIN user_profiles p ON p.user_id = u.id \
        WHERE u.id = claims.user_id AND u.status = 'inactive' AND p.registered_elsewhere_at IS NULL)";
    Ok(with_conn!(tx.connection(), c => sqlx::query(delete).bind(before).execute(c).await.map(drop))?)
}
