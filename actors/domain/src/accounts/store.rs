//! The SQL of `users` and `user_profiles`.
//!
//! Whoever changes a user locks its row in `users` first, then writes beside it: one order for all, so that no two wait for each other.

use faceofmind_base::Timestamp;
use faceofmind_db::{Connection, StoreError, Tx, with_conn};
use faceofmind_runtime::legacy::Failure;
use sqlx::FromRow;

use super::{Email, Role, Status, User, UserId};
use faceofmind_platform::password_hasher::PasswordHash;

macro_rules! select_user {
    ($rest:literal) => {
        concat!(
            "SELECT u.id, u.email, u.password, u.first_name, u.last_name, u.role, u.status, u.created_at, ",
            "COALESCE(p.revision, 0) AS revision, p.time_zone, p.language, ",
            "COALESCE(p.claims_made, 1) AS claims_made ",
            "FROM users u LEFT JOIN user_profiles p ON p.user_id = u.id ",
            $rest
        )
    };
}
pub(super) use select_user;

/// A user's row and what stands beside it. Users of the predecessor have nothing beside it until they are first changed.
#[derive(FromRow)]
pub(super) struct Row {
    id: UserId,
    email: String,
    password: Option<String>,
    first_name: String,
    last_name: String,
    role: String,
    status: String,
    created_at: Timestamp,
    revision: i64,
    time_zone: Option<String>,
    language: Option<String>,
    claims_made: i32,
}

/// A user with what only this room may see.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) user: User,
    pub(super) password: Option<PasswordHash>,
    /// How many claims the password may come from: those made since the address was last proven, and the proven one.
    pub(super) claims_made: i32,
}

impl Row {
    pub(super) fn account(self) -> Result<Account, Failure> {
        let unreadable = |what: &str| Failure::Store(StoreError::corrupt(format!("user {}: {what}", self.id)));
        let user = User {
            id: self.id,
            email: Email::parse(&self.email).map_err(|_| unreadable("e-mail"))?,
            role: Role::parse(&self.role).ok_or_else(|| unreadable("role"))?,
            status: Status::parse(&self.status).ok_or_else(|| unreadable("status"))?,
            first_name: self.first_name,
            last_name: self.last_name,
            created_at: self.created_at,
            revision: self.revision,
            time_zone: self.time_zone,
            language: self.language,
        };
        let password = self.password.map(PasswordHash::stored);
        Ok(Account { user, password, claims_made: self.claims_made })
    }
}

pub(super) async fn by_id(connection: Connection<'_>, id: UserId) -> Result<Option<Account>, Failure> {
    let row: Option<Row> = with_conn!(connection, c =>
        sqlx::query_as(select_user!("WHERE u.id = $1")).bind(id).fetch_optional(c).await)?;
    row.map(Row::account).transpose()
}

pub(super) async fn by_email(connection: Connection<'_>, email: &Email) -> Result<Option<Account>, Failure> {
    let row: Option<Row> = with_conn!(connection, c =>
        sqlx::query_as(select_user!("WHERE u.email = $1")).bind(email.as_str()).fetch_optional(c).await)?;
    row.map(Row::account).transpose()
}

/// Locks the user until the transaction ends, and reads it as it then is.
pub(super) async fn lock(tx: &mut Tx, id: UserId) -> Result<Option<Account>, Failure> {
    let lock = "UPDATE users SET email = email WHERE id = $1";
    with_conn!(tx.connection(), c => sqlx::query(lock).bind(id).execute(c).await.map(drop))?;
    by_id(tx.connection(), id).await
}

/// Reads the user, whom nobody changes until the transaction ends; others may read so as well.
pub(super) async fn read_shared(tx: &mut Tx, id: UserId) -> Result<Option<Account>, Failure> {
    read_after(tx, "SELECT id FROM users WHERE id = $1 FOR SHARE", id).await
}

/// Locks the user also against those who only refer to it, as a session that is just being started does: what they hold is waited for
/// here, and not when half of the user's things are deleted.
pub(super) async fn lock_for_removal(tx: &mut Tx, id: UserId) -> Result<Option<Account>, Failure> {
    read_after(tx, "SELECT id FROM users WHERE id = $1 FOR UPDATE", id).await
}

/// Reads the user after this lock, which PostgreSQL alone needs: SQLite has one writer, who is us.
async fn read_after(tx: &mut Tx, lock: &'static str, id: UserId) -> Result<Option<Account>, Failure> {
    if let Connection::Postgres(c) = tx.connection() {
        sqlx::query(lock).bind(id).execute(c).await?;
    }
    by_id(tx.connection(), id).await
}

/// Keeps the user from being removed, if there is one, and from nothing else. SQLite has one writer, who is us.
pub(super) async fn hold(tx: &mut Tx, id: UserId) -> Result<bool, Failure> {
    let sql = if matches!(tx, Tx::Postgres(_)) {
        "SELECT id FROM users WHERE id = $1 FOR KEY SHARE"
    } else {
        "SELECT id FROM users WHERE id = $1"
    };
    let held: Option<(UserId,)> =
        with_conn!(tx.connection(), c => sqlx::query_as(sql).bind(id).fetch_optional(c).await)?;
    Ok(held.is_some())
}

/// Whether there is another active admin. Meant under a lock that all take who may remove one.
pub(super) async fn has_admin_but(tx: &mut Tx, id: UserId) -> Result<bool, Failure> {
    let select = "SELECT count(*) FROM users WHERE role = 'admin' AND status = 'active' AND id <> $1";
    let (others,): (i64,) = with_conn!(tx.connection(), c => sqlx::query_as(select).bind(id).fetch_one(c).await)?;
    Ok(others > 0)
}

/// Writes the user's row and bumps its revision.
pub(super) async fn save(tx: &mut Tx, account: &mut Account) -> Result<(), Failure> {
    let update =
        "UPDATE users SET first_name = $2, last_name = $3, role = $4, status = $5, password = $6 WHERE id = $1";
    let user = &account.user;
    let password = account.password.as_ref().map(PasswordHash::as_str);
    with_conn!(tx.connection(), c => sqlx::query(update)
        .bind(user.id).bind(&user.first_name).bind(&user.last_name)
        .bind(user.role.as_str()).bind(user.status.as_str()).bind(password)
        .execute(c).await.map(drop))?;
    let beside = "INSERT INTO user_profiles (user_id, revision, time_zone, language) VALUES ($1, 1, $2, $3) \
        ON CONFLICT (user_id) DO UPDATE SET revision = user_profiles.revision + 1, \
        time_zone = excluded.time_zone, language = excluded.language RETURNING revision";
    let (revision,): (i64,) = with_conn!(tx.connection(), c => sqlx::query_as(beside)
        .bind(user.id).bind(&user.time_zone).bind(&user.language).fetch_one(c).await)?;
    account.user.revision = revision;
    Ok(())
}

/// Gives the user that address. False where another account has it: the transaction is then good for nothing but to be given up.
pub(super) async fn set_address(tx: &mut Tx, id: UserId, address: &Email) -> Result<bool, Failure> {
    let update = "UPDATE users SET email = $2 WHERE id = $1";
    let set = with_conn!(tx.connection(), c => sqlx::query(update).bind(id).bind(address.as_str()).execute(c).await.map(drop));
    match set {
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(false),
        set => Ok(set.map(|()| true)?),
    }
}

/// Whether nobody has ever proven the address of the account, nor an admin vouched for it: it is somebody's word, and no more.
pub(super) async fn is_unproven(connection: Connection<'_>, id: UserId) -> Result<bool, Failure> {
    let select = "SELECT count(*) FROM users u JOIN user_profiles p ON p.user_id = u.id \
        WHERE u.id = $1 AND u.status = 'inactive' AND p.verified_at IS NULL";
    let (found,): (i64,) = with_conn!(connection, c => sqlx::query_as(select).bind(id).fetch_one(c).await)?;
    Ok(found > 0)
}

/// Notes that the address was proven to be theirs who set the password.
pub(super) async fn mark_proven(tx: &mut Tx, id: UserId, now: Timestamp) -> Result<(), Failure> {
    let update = "UPDATE user_profiles SET claims_made = 1, verified_at = COALESCE(verified_at, $2) WHERE user_id = $1";
    Ok(with_conn!(tx.connection(), c => sqlx::query(update).bind(id).bind(now).execute(c).await.map(drop))?)
}

/// Notes that an admin has vouched for the address: the account is never swept.
pub(super) async fn mark_activated(tx: &mut Tx, id: UserId, now: Timestamp) -> Result<(), Failure> {
    let update = "UPDATE user_profiles SET verified_at = COALESCE(verified_at, $2) WHERE user_id = $1";
    Ok(with_conn!(tx.connection(), c => sqlx::query(update).bind(id).bind(now).execute(c).await.map(drop))?)
}

/// A write that changes nothing, in the place of one that only a new address calls for: time does not tell which it was.
pub(super) async fn touch(tx: &mut Tx, id: UserId) -> Result<(), Failure> {
    let update = "UPDATE user_profiles SET revision = revision WHERE user_id = $1";
    Ok(with_conn!(tx.connection(), c => sqlx::query(update).bind(id).execute(c).await.map(drop))?)
}

/// Puts a fresh hash of the same password in the place of the old one, unless it was changed meanwhile.
pub(super) async fn renew_hash(tx: &mut Tx, id: UserId, old: &PasswordHash, new: &PasswordHash) -> Result<(), Failure> {
    for update in [
        "UPDATE users SET password = $3 WHERE id = $1 AND password = $2",
        "UPDATE claims SET password = $3 WHERE user_id = $1 AND password = $2",
    ] {
        with_conn!(tx.connection(), c => sqlx::query(update)
            .bind(id).bind(old.as_str()).bind(new.as_str()).execute(c).await.map(drop))?;
    }
    Ok(())
}

/// Removes the row; what hangs on it goes by the rooms that own it.
pub(super) async fn delete(tx: &mut Tx, id: UserId) -> Result<(), Failure> {
    for statement in [
        "DELETE FROM claims WHERE user_id = $1",
        "DELETE FROM address_changes WHERE user_id = $1",
        "DELETE FROM user_profiles WHERE user_id = $1",
        "DELETE FROM users WHERE id = $1",
    ] {
        with_conn!(tx.connection(), c => sqlx::query(statement).bind(id).execute(c).await.map(drop))?;
    }
    Ok(())
}
