//! The SQL of `logins`.

use std::time::Duration;

use faceofmind_kit::{Connection, Failure, Timestamp, Tx, on};

use super::{
    login::{Login, LoginId},
    token::whole_seconds,
};
use crate::user_registry::UserId;

/// Ended and expired log-ins are kept so long: they tell which devices and addresses a person is known by.
const REMEMBERED: Duration = Duration::from_secs(90 * 24 * 3600);

macro_rules! columns {
    () => {
        "id, user_id, generation, proven_generation, created_at, rotated_at, last_used_at, expires_at, ended_at, device, address"
    };
}

/// A person who has proven who they are, from somewhere.
#[derive(Clone, Debug)]
pub(super) struct NewLogin<'a> {
    pub(super) user: UserId,
    pub(super) device: &'a str,
    pub(super) address: &'a str,
}

pub(super) async fn insert(tx: &mut Tx, new: &NewLogin<'_>, now: Timestamp, life: Duration) -> Result<Login, Failure> {
    let insert = concat!(
        "INSERT INTO logins (user_id, created_at, rotated_at, last_used_at, expires_at, device, address) ",
        "VALUES ($1, $2, $3, $2, $4, $5, $6) RETURNING ",
        columns!()
    );
    let rotated_at = whole_seconds(now);
    Ok(on!(tx.connection(), c => sqlx::query_as(insert)
        .bind(new.user).bind(now).bind(rotated_at).bind(rotated_at + life).bind(new.device).bind(new.address)
        .fetch_one(c).await)?)
}

pub(super) async fn find(connection: Connection<'_>, id: LoginId) -> Result<Option<Login>, Failure> {
    let select = concat!("SELECT ", columns!(), " FROM logins WHERE id = $1");
    Ok(on!(connection, c => sqlx::query_as(select).bind(id).fetch_optional(c).await)?)
}

/// Makes the next generation, if `generation` is still the current one and the log-in lives. Who loses the race gets `None`.
pub(super) async fn rotate(
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
    Ok(on!(tx.connection(), c => sqlx::query_as(update)
        .bind(id).bind(generation).bind(rotated_at).bind(rotated_at + life).bind(now)
        .fetch_optional(c).await)?)
}

/// Notes that the client has received this generation.
pub(super) async fn prove(tx: &mut Tx, id: LoginId, generation: i64, now: Timestamp) -> Result<(), Failure> {
    let update = "UPDATE logins SET proven_generation = $2, last_used_at = $3 \
        WHERE id = $1 AND proven_generation < $2 AND generation >= $2";
    Ok(on!(tx.connection(), c => sqlx::query(update).bind(id).bind(generation).bind(now).execute(c).await.map(drop))?)
}

/// Ends one log-in of the user's; false when it is not theirs or has ended already.
pub(super) async fn end(tx: &mut Tx, user: UserId, id: LoginId, now: Timestamp) -> Result<bool, Failure> {
    let update = "UPDATE logins SET ended_at = $3 WHERE id = $1 AND user_id = $2 AND ended_at IS NULL RETURNING id";
    let ended: Option<(LoginId,)> =
        on!(tx.connection(), c => sqlx::query_as(update).bind(id).bind(user).bind(now).fetch_optional(c).await)?;
    Ok(ended.is_some())
}

pub(super) async fn end_all(
    tx: &mut Tx,
    user: UserId,
    except: Option<LoginId>,
    now: Timestamp,
) -> Result<Vec<LoginId>, Failure> {
    let update = "UPDATE logins SET ended_at = $3 WHERE user_id = $1 AND id <> $2 AND ended_at IS NULL RETURNING id";
    let except = except.unwrap_or(LoginId(0));
    let ended: Vec<(LoginId,)> =
        on!(tx.connection(), c => sqlx::query_as(update).bind(user).bind(except).bind(now).fetch_all(c).await)?;
    Ok(ended.into_iter().map(|(id,)| id).collect())
}

/// The user's log-ins that can still be used, newest first.
pub(super) async fn live(connection: Connection<'_>, user: UserId, now: Timestamp) -> Result<Vec<Login>, Failure> {
    let select = concat!(
        "SELECT ",
        columns!(),
        " FROM logins WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 ORDER BY id DESC"
    );
    Ok(on!(connection, c => sqlx::query_as(select).bind(user).bind(now).fetch_all(c).await)?)
}

/// Whether the user logged in from exactly this address, as far as is remembered.
pub(super) async fn knows(connection: Connection<'_>, user: UserId, address: &str) -> Result<bool, Failure> {
    let select = "SELECT EXISTS (SELECT 1 FROM logins WHERE user_id = $1 AND address = $2)";
    let (known,): (bool,) = on!(connection, c => sqlx::query_as(select).bind(user).bind(address).fetch_one(c).await)?;
    Ok(known)
}

/// The addresses that the user logged in from, as far as is remembered.
pub(super) async fn addresses(connection: Connection<'_>, user: UserId) -> Result<Vec<String>, Failure> {
    let select = "SELECT DISTINCT address FROM logins WHERE user_id = $1";
    let known: Vec<(String,)> = on!(connection, c => sqlx::query_as(select).bind(user).fetch_all(c).await)?;
    Ok(known.into_iter().map(|(address,)| address).collect())
}

/// Whether the user has logged in with that device before.
pub(super) async fn knows_device(tx: &mut Tx, user: UserId, device: &str) -> Result<bool, Failure> {
    let select = "SELECT EXISTS (SELECT 1 FROM logins WHERE user_id = $1 AND device = $2)";
    let (known,): (bool,) =
        on!(tx.connection(), c => sqlx::query_as(select).bind(user).bind(device).fetch_one(c).await)?;
    Ok(known)
}

/// Whether the user has logged in before, and never with that device.
pub(super) async fn is_new_device(tx: &mut Tx, user: UserId, device: &str) -> Result<bool, Failure> {
    let select = "SELECT EXISTS (SELECT 1 FROM logins WHERE user_id = $1) \
        AND NOT EXISTS (SELECT 1 FROM logins WHERE user_id = $1 AND device = $2)";
    let (is_new,): (bool,) =
        on!(tx.connection(), c => sqlx::query_as(select).bind(user).bind(device).fetch_one(c).await)?;
    Ok(is_new)
}

/// Removes the user's log-ins.
pub(super) async fn erase(tx: &mut Tx, user: UserId) -> Result<(), Failure> {
    let delete = "DELETE FROM logins WHERE user_id = $1";
    Ok(on!(tx.connection(), c => sqlx::query(delete).bind(user).execute(c).await.map(drop))?)
}

/// Removes what ended or expired long ago.
pub(super) async fn sweep(tx: &mut Tx, now: Timestamp) -> Result<(), Failure> {
    let delete = "DELETE FROM logins WHERE expires_at < $1 OR ended_at < $1";
    Ok(on!(tx.connection(), c => sqlx::query(delete).bind(now - REMEMBERED).execute(c).await.map(drop))?)
}
