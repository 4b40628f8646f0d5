//! The table of log-ins. A log-in is one row, and its refresh tokens are generations of it.

use std::time::Duration;

use faceofmind_base::Timestamp;
use faceofmind_db::{Connection, Tx, with_conn};
use faceofmind_model::{LoginId, UserId};
use faceofmind_runtime::legacy::Failure;
use sqlx::FromRow;

/// A log-in: one row, whose refresh tokens are generations of it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Login {
    /// Key.
    pub id: LoginId,
    /// Whose.
    pub user_id: UserId,
    /// Of the current refresh token, from 1.
    pub generation: i64,
    /// The last generation that its client is known to have received; 0 before the first.
    pub proven_generation: i64,
    /// When the person logged in.
    pub created_at: Timestamp,
    /// When the current generation was made, in whole seconds.
    pub rotated_at: Timestamp,
    /// When it was last refreshed, or a generation first used.
    pub last_used_at: Timestamp,
    /// When the current refresh token expires, in whole seconds.
    pub expires_at: Timestamp,
    /// When it ended, if it did.
    pub ended_at: Option<Timestamp>,
    /// A label of what the person logged in with.
    pub device: String,
    /// The network address that they logged in from.
    pub address: String,
}

impl Login {
    /// Whether it can still be used.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }
}

#[cfg(any(test, feature = "test-hooks"))]
impl Login {
    /// Returns a log-in of [`User::sample`](faceofmind_model::User::sample) that was made at `now`, for tests.
    pub fn sample(now: Timestamp) -> Self {
        Self {
            id: LoginId(7),
            user_id: UserId(1),
            generation: 1,
            proven_generation: 0,
            created_at: now,
            rotated_at: now,
            last_used_at: now,
            expires_at: now + Duration::from_secs(3600),
            ended_at: None,
            device: "test".into(),
            address: "127.0.0.1".into(),
        }
    }
}

/// Ended and expired log-ins are kept so long: they tell which devices and addresses a person is known by.
const REMEMBERED: Duration = Duration::from_secs(90 * 24 * 3600);

macro_rules! columns {
    () => {
        "id, user_id, generation, proven_generation, created_at, rotated_at, last_used_at, expires_at, ended_at, device, address"
    };
}

/// A person who has proven who they are, from somewhere.
#[derive(Clone, Debug)]
pub struct NewLogin<'a> {
    pub user: UserId,
    pub device: &'a str,
    pub address: &'a str,
}

pub async fn insert(tx: &mut Tx, new: &NewLogin<'_>, now: Timestamp, life: Duration) -> Result<Login, Failure> {
    let insert = concat!(
        "INSERT INTO logins (user_id, created_at, rotated_at, last_used_at, expires_at, device, address) ",
        "VALUES ($1, $2, $3, $2, $4, $5, $6) RETURNING ",
        columns!()
    );
    let rotated_at = whole_seconds(now);
    Ok(with_conn!(tx.connection(), c => sqlx::query_as(insert)
        .bind(new.user).bind(now).bind(rotated_at).bind(rotated_at + life).bind(new.device).bind(new.address)
        .fetch_one(c).await)?)
}

pub async fn find(connection: Connection<'_>, id: LoginId) -> Result<Option<Login>, Failure> {
    let select = concat!("SELECT ", columns!(), " FROM logins WHERE id = $1");
    Ok(with_conn!(connection, c => sqlx::query_as(select).bind(id).fetch_optional(c).await)?)
}

/// Makes the next generation, if `generation` is still the current one and the log-in lives. Who loses the race gets `None`.
pub async fn rotate(
    tx: &mut Tx,
    id: LoginId,
    generation: i64,
    now: Timestamp,
    life: Duration,
) -> Result<Option<Login>, Failure> {
    let update = concat!(
        "UPDATE logins SET generation = generation + 1, rotated_at = $3, expires_at = $4, last_used_at = $5 ",
        "WHERE id = $1 AND generation = $2 AND ended_at IS NULL AND expires_at > $5 RETURNING ",
        columns!()
    );
    let rotated_at = whole_seconds(now);
    Ok(with_conn!(tx.connection(), c => sqlx::query_as(update)
        .bind(id).bind(generation).bind(rotated_at).bind(rotated_at + life).bind(now)
        .fetch_optional(c).await)?)
}

/// Notes that the client has received this generation.
pub async fn prove(tx: &mut Tx, id: LoginId, generation: i64, now: Timestamp) -> Result<(), Failure> {
    let update = "UPDATE logins SET proven_generation = $2, last_used_at = $3 \
        WHERE id = $1 AND proven_generation < $2 AND generation >= $2";
    Ok(
        with_conn!(tx.connection(), c => sqlx::query(update).bind(id).bind(generation).bind(now).execute(c).await.map(drop))?,
    )
}

/// Ends one log-in of the user's; false when it is not theirs or has ended already.
pub async fn end(tx: &mut Tx, user: UserId, id: LoginId, now: Timestamp) -> Result<bool, Failure> {
    let update = "UPDATE logins SET ended_at = $3 WHERE id = $1 AND user_id = $2 AND ended_at IS NULL RETURNING id";
    let ended: Option<(LoginId,)> =
        with_conn!(tx.connection(), c => sqlx::query_as(update).bind(id).bind(user).bind(now).fetch_optional(c).await)?;
    Ok(ended.is_some())
}

/// Ends the user's log-ins but `except` in the caller's transaction, and returns them. The caller has incremented the user's revision, and
/// commits with the change of the user ([`Views::commit`](crate::auth_cache::Views::commit)).
pub async fn end_all(
    tx: &mut Tx,
    user: UserId,
    except: Option<LoginId>,
    now: Timestamp,
) -> Result<Vec<LoginId>, Failure> {
    let update = "UPDATE logins SET ended_at = $3 WHERE user_id = $1 AND id <> $2 AND ended_at IS NULL RETURNING id";
    let except = except.unwrap_or(LoginId(0));
    let ended: Vec<(LoginId,)> =
        with_conn!(tx.connection(), c => sqlx::query_as(update).bind(user).bind(except).bind(now).fetch_all(c).await)?;
    Ok(ended.into_iter().map(|(id,)| id).collect())
}

/// The user's log-ins that can still be used, newest first.
pub async fn live(connection: Connection<'_>, user: UserId, now: Timestamp) -> Result<Vec<Login>, Failure> {
    let select = concat!(
        "SELECT ",
        columns!(),
        " FROM logins WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 ORDER BY id DESC"
    );
    Ok(with_conn!(connection, c => sqlx::query_as(select).bind(user).bind(now).fetch_all(c).await)?)
}

/// Whether the user logged in from exactly this address, as far as is remembered.
pub async fn knows(connection: Connection<'_>, user: UserId, address: &str) -> Result<bool, Failure> {
    let select = "SELECT EXISTS (SELECT 1 FROM logins WHERE user_id = $1 AND address = $2)";
    let (known,): (bool,) =
        with_conn!(connection, c => sqlx::query_as(select).bind(user).bind(address).fetch_one(c).await)?;
    Ok(known)
}

/// The addresses that the user logged in from, as far as is remembered.
pub async fn addresses(connection: Connection<'_>, user: UserId) -> Result<Vec<String>, Failure> {
    let select = "SELECT DISTINCT address FROM logins WHERE user_id = $1";
    let known: Vec<(String,)> = with_conn!(connection, c => sqlx::query_as(select).bind(user).fetch_all(c).await)?;
    Ok(known.into_iter().map(|(address,)| address).collect())
}

/// Whether the user has logged in with that device before.
pub async fn knows_device(tx: &mut Tx, user: UserId, device: &str) -> Result<bool, Failure> {
    let select = "SELECT EXISTS (SELECT 1 FROM logins WHERE user_id = $1 AND device = $2)";
    let (known,): (bool,) =
        with_conn!(tx.connection(), c => sqlx::query_as(select).bind(user).bind(device).fetch_one(c).await)?;
    Ok(known)
}

/// Whether the user has logged in before, and never with that device.
pub async fn is_new_device(tx: &mut Tx, user: UserId, device: &str) -> Result<bool, Failure> {
    let select = "SELECT EXISTS (SELECT 1 FROM logins WHERE user_id = $1) \
        AND NOT EXISTS (SELECT 1 FROM logins WHERE user_id = $1 AND device = $2)";
    let (is_new,): (bool,) =
        with_conn!(tx.connection(), c => sqlx::query_as(select).bind(user).bind(device).fetch_one(c).await)?;
    Ok(is_new)
}

/// Removes the user's log-ins.
pub async fn erase(tx: &mut Tx, user: UserId) -> Result<(), Failure> {
    let delete = "DELETE FROM logins WHERE user_id = $1";
    Ok(with_conn!(tx.connection(), c => sqlx::query(delete).bind(user).execute(c).await.map(drop))?)
}

/// Removes what ended or expired long ago.
pub async fn sweep(tx: &mut Tx, now: Timestamp) -> Result<(), Failure> {
    let delete = "DELETE FROM logins WHERE expires_at < $1 OR ended_at < $1";
    Ok(with_conn!(tx.connection(), c => sqlx::query(delete).bind(now - REMEMBERED).execute(c).await.map(drop))?)
}

/// Returns the moment without its fraction of a second: tokens and rotations are dated in whole seconds.
pub fn whole_seconds(moment: Timestamp) -> Timestamp {
    Timestamp::from_micros(moment.seconds() * 1_000_000)
}
