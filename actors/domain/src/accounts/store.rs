//! The SQL of `users` and `user_profiles`.
//!
//! A transaction that changes a user locks its row in `users` first and then writes beside it, so that two transactions do not deadlock.

use faceofmind_base::Timestamp;
use faceofmind_db::{Connection, StoreError, Tx, with_conn};
use faceofmind_model::{Email, Role, Status, User, UserId};
use faceofmind_platform::password_hasher::PasswordHash;
use serde::Serialize;
use sqlx::FromRow;

/// `$more` are further columns.
macro_rules! select_user {
    ($rest:literal) => {
        select_user!("", $rest)
    };
    ($more:literal, $rest:literal) => {
        concat!(
            "SELECT u.id, u.email, u.password, u.first_name, u.last_name, u.role, u.status, u.created_at, ",
            "p.time_zone, p.language, p.verified_at, p.revision, p.claims_made, p.registered_elsewhere_at",
            $more,
            " FROM users u LEFT JOIN user_profiles p ON p.user_id = u.id WHERE u.status <> 'erasing' AND ",
            $rest
        )
    };
}
pub(super) use select_user;

/// A user's row and its profile, as an export shows it. A user of the earlier program has no profile until the first change.
#[derive(FromRow, Serialize)]
pub(super) struct Row {
    id: UserId,
    email: String,
    #[serde(skip)]
    password: Option<String>,
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
    registered_elsewhere_at: Option<Timestamp>,
}

/// A user with what stays in this module.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) user: User,
    pub(super) password: Option<PasswordHash>,
    /// The registrations that the password may come from: the verified one, and those after it.
    pub(super) claims_made: i32,
}

impl Row {
    pub(super) fn into_account(self) -> Result<Account, StoreError> {
        let corrupt = |what: &str| StoreError::corrupt(format!("user {}: {what}", self.id));
        let user = User {
            id: self.id,
            email: Email::parse(&self.email).map_err(|_| corrupt("e-mail"))?,
            role: Role::parse(&self.role).ok_or_else(|| corrupt("role"))?,
            status: Status::parse(&self.status).ok_or_else(|| corrupt("status"))?,
            first_name: self.first_name,
            last_name: self.last_name,
            created_at: self.created_at,
            revision: self.revision.unwrap_or(0),
            time_zone: self.time_zone,
            language: self.language,
        };
        let password = self.password.map(PasswordHash::stored);
        Ok(Account { user, password, claims_made: self.claims_made.unwrap_or(1) })
    }
}

pub(super) async fn by_id(connection: Connection<'_>, id: UserId) -> Result<Option<Account>, StoreError> {
    let row: Option<Row> = with_conn!(connection, c =>
        sqlx::query_as(select_user!("u.id = $1")).bind(id).fetch_optional(c).await)?;
    row.map(Row::into_account).transpose()
}

/// Finds an address in any case: earlier programs stored it as it was typed.
pub(super) async fn by_email(connection: Connection<'_>, email: &Email) -> Result<Option<Account>, StoreError> {
    let row: Option<Row> = with_conn!(connection, c =>
        sqlx::query_as(select_user!("lower(u.email) = $1")).bind(email.as_str()).fetch_optional(c).await)?;
    row.map(Row::into_account).transpose()
}

/// Locks an address that the transaction is about to give to a user, as its first statement. *Why*: an address is unique in two ways, exactly
/// and in any case, and `ON CONFLICT` resolves a concurrent insertion only by the second; by the first, PostgreSQL may refuse the statement.
pub(super) async fn lock_address(tx: &mut Tx, address: &Email) -> Result<(), StoreError> {
    tx.lock(&format!("address {}", address.as_str())).await
}

/// Locks the user until the transaction ends, then reads it.
pub(super) async fn lock(tx: &mut Tx, id: UserId) -> Result<Option<Account>, StoreError> {
    let lock = "UPDATE users SET email = email WHERE id = $1";
    with_conn!(tx.connection(), c => sqlx::query(lock).bind(id).execute(c).await.map(drop))?;
    by_id(tx.connection(), id).await
}

/// Whether the user still has that revision; it keeps it until the transaction ends. Waits for a change in progress. Several transactions
/// may hold the lock at once.
pub async fn has_revision(tx: &mut Tx, id: UserId, revision: i64) -> Result<bool, StoreError> {
    let account = lock_then_read(tx, "SELECT id FROM users WHERE id = $1 FOR SHARE", id).await?;
    Ok(account.is_some_and(|account| account.user.revision == revision))
}

/// Locks the user also against rows that refer to it, as a session that is being started does. The transaction waits for them here, and not
/// when half of the user's rows are deleted.
pub(super) async fn lock_for_delete(tx: &mut Tx, id: UserId) -> Result<Option<Account>, StoreError> {
    lock_then_read(tx, "SELECT id FROM users WHERE id = $1 FOR UPDATE", id).await
}

/// Only PostgreSQL needs the lock: SQLite has one writer, which is this transaction.
async fn lock_then_read(tx: &mut Tx, lock: &'static str, id: UserId) -> Result<Option<Account>, StoreError> {
    tx.on_postgres(sqlx::query(lock).bind(id)).await?;
    by_id(tx.connection(), id).await
}

/// Whether the user exists; it then cannot be deleted until the transaction ends. For a row that is to belong to the user. Requires that the
/// transaction has locked nothing else yet, because a deletion locks the user first. SQLite has one writer, which is this transaction.
pub async fn lock_key_share(tx: &mut Tx, id: UserId) -> Result<bool, StoreError> {
    let sql = if matches!(tx, Tx::Postgres(_)) {
        "SELECT id FROM users WHERE id = $1 AND status <> 'erasing' FOR KEY SHARE"
    } else {
        "SELECT id FROM users WHERE id = $1 AND status <> 'erasing'"
    };
    let locked: Option<(UserId,)> =
        with_conn!(tx.connection(), c => sqlx::query_as(sql).bind(id).fetch_optional(c).await)?;
    Ok(locked.is_some())
}

/// SQLite uses the index of unusual roles only where the query has its condition.
pub(super) const OTHER_ADMIN: &str =
    "SELECT id FROM users WHERE role = 'admin' AND role <> 'user' AND status = 'active' AND id <> $1 LIMIT 1";

/// Whether there is another active admin. Requires the lock that every transaction takes before it may remove one.
pub(super) async fn has_other_admin(tx: &mut Tx, id: UserId) -> Result<bool, StoreError> {
    let other: Option<(UserId,)> =
        with_conn!(tx.connection(), c => sqlx::query_as(OTHER_ADMIN).bind(id).fetch_optional(c).await)?;
    Ok(other.is_some())
}

/// Writes the user's row and bumps its revision. An account without a profile was registered by another program.
pub(super) async fn save(tx: &mut Tx, account: &mut Account) -> Result<(), StoreError> {
    let update =
        "UPDATE users SET first_name = $2, last_name = $3, role = $4, status = $5, password = $6 WHERE id = $1";
    let user = &account.user;
    let password = account.password.as_ref().map(PasswordHash::as_str);
    with_conn!(tx.connection(), c => sqlx::query(update)
        .bind(user.id).bind(&user.first_name).bind(&user.last_name)
        .bind(user.role.as_str()).bind(user.status.as_str()).bind(password)
        .execute(c).await.map(drop))?;
    let beside = "INSERT INTO user_profiles (user_id, revision, time_zone, language, registered_elsewhere_at) \
        VALUES ($1, 1, $2, $3, $4) \
        ON CONFLICT (user_id) DO UPDATE SET revision = user_profiles.revision + 1, \
        time_zone = excluded.time_zone, language = excluded.language RETURNING revision";
    let (revision,): (i64,) = with_conn!(tx.connection(), c => sqlx::query_as(beside)
        .bind(user.id).bind(&user.time_zone).bind(&user.language).bind(user.created_at).fetch_one(c).await)?;
    account.user.revision = revision;
    Ok(())
}

/// Gives the user that address. False where another account has it; the transaction can then only be rolled back.
pub(super) async fn set_address(tx: &mut Tx, id: UserId, address: &Email) -> Result<bool, StoreError> {
    let update = "UPDATE users SET email = $2 WHERE id = $1";
    let set = with_conn!(tx.connection(), c => sqlx::query(update).bind(id).bind(address.as_str()).execute(c).await.map(drop));
    match set {
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(false),
        set => Ok(set.map(|()| true)?),
    }
}

/// Whether this program registered the account, its address was never verified, and no admin activated it.
pub(super) async fn is_never_verified(connection: Connection<'_>, id: UserId) -> Result<bool, StoreError> {
    let select = "SELECT count(*) FROM users u JOIN user_profiles p ON p.user_id = u.id \
        WHERE u.id = $1 AND u.status = 'inactive' AND p.verified_at IS NULL AND p.registered_elsewhere_at IS NULL";
    let (found,): (i64,) = with_conn!(connection, c => sqlx::query_as(select).bind(id).fetch_one(c).await)?;
    Ok(found > 0)
}

/// Records that the owner of the address set the password.
pub(super) async fn mark_verified(tx: &mut Tx, id: UserId, now: Timestamp) -> Result<(), StoreError> {
    let update = "UPDATE user_profiles SET claims_made = 1, verified_at = COALESCE(verified_at, $2) WHERE user_id = $1";
    Ok(with_conn!(tx.connection(), c => sqlx::query(update).bind(id).bind(now).execute(c).await.map(drop))?)
}

/// Records that an admin vouched for the address. The account is then never swept.
pub(super) async fn mark_vouched(tx: &mut Tx, id: UserId, now: Timestamp) -> Result<(), StoreError> {
    let update = "UPDATE user_profiles SET verified_at = COALESCE(verified_at, $2) WHERE user_id = $1";
    Ok(with_conn!(tx.connection(), c => sqlx::query(update).bind(id).bind(now).execute(c).await.map(drop))?)
}

/// No-op write. Keeps the cost of registering a known e-mail equal to that of a new one, so that timing does not reveal which accounts
/// exist.
pub(super) async fn dummy_write(tx: &mut Tx, id: UserId) -> Result<(), StoreError> {
    let update = "UPDATE user_profiles SET revision = revision WHERE user_id = $1";
    Ok(with_conn!(tx.connection(), c => sqlx::query(update).bind(id).execute(c).await.map(drop))?)
}

/// Compare-and-set on the stored hash, so that a concurrent new password stays.
pub(super) async fn renew_hash(
    tx: &mut Tx,
    id: UserId,
    old: &PasswordHash,
    new: &PasswordHash,
) -> Result<(), StoreError> {
    for update in [
        "UPDATE users SET password = $3 WHERE id = $1 AND password = $2",
        "UPDATE claims SET password = $3 WHERE user_id = $1 AND password = $2",
    ] {
        with_conn!(tx.connection(), c => sqlx::query(update)
            .bind(id).bind(old.as_str()).bind(new.as_str()).execute(c).await.map(drop))?;
    }
    Ok(())
}

/// Deletes this module's rows of the user. Other modules have deleted theirs.
pub(super) async fn delete(tx: &mut Tx, id: UserId) -> Result<(), StoreError> {
    delete_beside(tx, id).await?;
    for statement in ["DELETE FROM erasures WHERE user_id = $1", "DELETE FROM users WHERE id = $1"] {
        with_conn!(tx.connection(), c => sqlx::query(statement).bind(id).execute(c).await.map(drop))?;
    }
    Ok(())
}

/// Deletes what this module holds of the user beside `users`.
pub(super) async fn delete_beside(tx: &mut Tx, id: UserId) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM claims WHERE user_id = $1",
        "DELETE FROM address_changes WHERE user_id = $1",
        "DELETE FROM user_profiles WHERE user_id = $1",
    ] {
        with_conn!(tx.connection(), c => sqlx::query(statement).bind(id).execute(c).await.map(drop))?;
    }
    Ok(())
}
