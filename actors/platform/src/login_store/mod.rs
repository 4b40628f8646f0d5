//! The table of logins. A login is one row, and its refresh tokens are generations of it.

mod export;
mod known_networks;

use std::time::Duration;

use faceofmind_base::Timestamp;
use faceofmind_db::{Connection, StoreError, Tx, with_conn};
use faceofmind_model::{LoginId, UserId, request_context::rate_limit_key};
use sqlx::FromRow;

pub use export::export;
pub use known_networks::{known_since, remember_network};

/// A login: one signed-in device.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Login {
    pub id: LoginId,
    pub user_id: UserId,
    /// The generation of the current refresh token, from 1.
    pub generation: i64,
    /// The last generation that the client is known to have received: one of its access tokens was used. 0 before the first.
    #[sqlx(rename = "proven_generation")]
    pub used_generation: i64,
    pub created_at: Timestamp,
    /// When the current generation was made, in whole seconds.
    pub rotated_at: Timestamp,
    /// When it was last refreshed, or a generation first used.
    pub last_used_at: Timestamp,
    /// When the current refresh token expires, in whole seconds.
    pub expires_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// The device, as the client named it at the login.
    pub device: String,
    /// The client's network address at the login.
    #[sqlx(rename = "address")]
    pub client_ip: String,
}

impl Login {
    /// Whether it has neither ended nor expired.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }
}

#[cfg(any(test, feature = "test-hooks"))]
impl Login {
    /// Returns a login of [`User::sample`](faceofmind_model::User::sample) that was made at `now`, for tests.
    pub fn sample(now: Timestamp) -> Self {
        Self {
            id: LoginId(7),
            user_id: UserId(1),
            generation: 1,
            used_generation: 0,
            created_at: now,
            rotated_at: now,
            last_used_at: now,
            expires_at: now + Duration::from_secs(3600),
            ended_at: None,
            device: "test".into(),
            client_ip: "127.0.0.1".into(),
        }
    }
}

/// How long ended and expired logins are kept: they say which devices and network addresses a user is known by.
const RETENTION: Duration = Duration::from_secs(90 * 24 * 3600);

macro_rules! columns {
    () => {
        "id, user_id, generation, proven_generation, created_at, rotated_at, last_used_at, expires_at, ended_at, device, address"
    };
}

pub struct NewLogin<'a> {
    pub user: UserId,
    pub device: &'a str,
    pub client_ip: &'a str,
}

pub async fn insert(tx: &mut Tx, new: &NewLogin<'_>, now: Timestamp, lifetime: Duration) -> Result<Login, StoreError> {
    let insert = concat!(
        "INSERT INTO logins (user_id, created_at, rotated_at, last_used_at, expires_at, device, address) ",
        "VALUES ($1, $2, $3, $2, $4, $5, $6) RETURNING ",
        columns!()
    );
    let rotated_at = whole_seconds(now);
    Ok(with_conn!(tx.connection(), c => sqlx::query_as(insert)
        .bind(new.user).bind(now).bind(rotated_at).bind(rotated_at + lifetime).bind(new.device).bind(new.client_ip)
        .fetch_one(c).await)?)
}

pub async fn find(connection: Connection<'_>, id: LoginId) -> Result<Option<Login>, StoreError> {
    let select = concat!("SELECT ", columns!(), " FROM logins WHERE id = $1");
    Ok(with_conn!(connection, c => sqlx::query_as(select).bind(id).fetch_optional(c).await)?)
}

/// Makes the next generation, if `generation` is still the current one and the login is live: a compare-and-set, of which one concurrent
/// caller gets the login and the others `None`.
pub async fn rotate(
    tx: &mut Tx,
    id: LoginId,
    generation: i64,
    now: Timestamp,
    lifetime: Duration,
) -> Result<Option<Login>, StoreError> {
    let update = concat!(
        "UPDATE logins SET generation = generation + 1, rotated_at = $3, expires_at = $4, last_used_at = $5 ",
        "WHERE id = $1 AND generation = $2 AND ended_at IS NULL AND expires_at > $5 RETURNING ",
        columns!()
    );
    let rotated_at = whole_seconds(now);
    Ok(with_conn!(tx.connection(), c => sqlx::query_as(update)
        .bind(id).bind(generation).bind(rotated_at).bind(rotated_at + lifetime).bind(now)
        .fetch_optional(c).await)?)
}

/// Records that the client has received this generation.
pub async fn mark_used(tx: &mut Tx, id: LoginId, generation: i64, now: Timestamp) -> Result<(), StoreError> {
    let update = "UPDATE logins SET proven_generation = $2, last_used_at = $3 \
        WHERE id = $1 AND proven_generation < $2 AND generation >= $2";
    Ok(
        with_conn!(tx.connection(), c => sqlx::query(update).bind(id).bind(generation).bind(now).execute(c).await.map(drop))?,
    )
}

/// Ends one login of the user. Returns false when it is another user's or has ended before.
pub async fn end(tx: &mut Tx, user: UserId, id: LoginId, now: Timestamp) -> Result<bool, StoreError> {
    let update = "UPDATE logins SET ended_at = $3 WHERE id = $1 AND user_id = $2 AND ended_at IS NULL RETURNING id";
    let ended: Option<(LoginId,)> =
        with_conn!(tx.connection(), c => sqlx::query_as(update).bind(id).bind(user).bind(now).fetch_optional(c).await)?;
    Ok(ended.is_some())
}

/// Ends the user's logins except one, and returns those that it ended. The caller has incremented the user's revision, and commits with
/// [`AuthCache::commit`](crate::auth_cache::AuthCache::commit).
pub async fn end_all(
    tx: &mut Tx,
    user: UserId,
    except: Option<LoginId>,
    now: Timestamp,
) -> Result<Vec<LoginId>, StoreError> {
    let update = "UPDATE logins SET ended_at = $3 WHERE user_id = $1 AND id <> $2 AND ended_at IS NULL RETURNING id";
    let except = except.unwrap_or(LoginId(0));
    let ended: Vec<(LoginId,)> =
        with_conn!(tx.connection(), c => sqlx::query_as(update).bind(user).bind(except).bind(now).fetch_all(c).await)?;
    Ok(ended.into_iter().map(|(id,)| id).collect())
}

const LIVE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM logins WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 ORDER BY id DESC"
);
const HAS_LOGIN_FROM: &str = "SELECT EXISTS \
    (SELECT 1 FROM logins WHERE user_id = $1 AND (CAST($2 AS text) IS NULL OR device = $2) AND address = $3)";

/// Returns the user's logins that have neither ended nor expired, newest first.
pub async fn list_live(connection: Connection<'_>, user: UserId, now: Timestamp) -> Result<Vec<Login>, StoreError> {
    Ok(with_conn!(connection, c => sqlx::query_as(LIVE).bind(user).bind(now).fetch_all(c).await)?)
}

/// Whether the user logged in with that device from that network (a rate limit key) within the retention period.
pub async fn has_logged_in_with(tx: &mut Tx, user: UserId, device: &str, network: &str) -> Result<bool, StoreError> {
    has_login(tx.connection(), user, network, Some(device)).await
}

/// Whether the user logged in from that network, with that device if one is given. The network of an IPv6 client stands for many addresses.
async fn has_login(
    connection: Connection<'_>,
    user: UserId,
    network: &str,
    device: Option<&str>,
) -> Result<bool, StoreError> {
    if network.contains('/') {
        let select = "SELECT DISTINCT address FROM logins \
            WHERE user_id = $1 AND ($2 IS NULL OR device = $2) AND address LIKE '%:%'";
        let addresses: Vec<String> =
            with_conn!(connection, c => sqlx::query_scalar(select).bind(user).bind(device).fetch_all(c).await)?;
        return Ok(addresses.iter().any(|address| rate_limit_key(address) == network));
    }
    let (has,): (bool,) = with_conn!(connection, c => sqlx::query_as(HAS_LOGIN_FROM)
        .bind(user).bind(device).bind(network).fetch_one(c).await)?;
    Ok(has)
}

/// Whether the user has logged in within the retention period.
pub async fn has_logged_in(tx: &mut Tx, user: UserId) -> Result<bool, StoreError> {
    let select = "SELECT EXISTS (SELECT 1 FROM logins WHERE user_id = $1)";
    let (has,): (bool,) = with_conn!(tx.connection(), c => sqlx::query_as(select).bind(user).fetch_one(c).await)?;
    Ok(has)
}

pub async fn erase(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    known_networks::erase(tx, user).await?;
    let delete = "DELETE FROM logins WHERE user_id = $1";
    Ok(with_conn!(tx.connection(), c => sqlx::query(delete).bind(user).execute(c).await.map(drop))?)
}

/// Each by its index.
const SWEEP: [&str; 2] = [
    "DELETE FROM logins WHERE id IN (SELECT id FROM logins WHERE expires_at < $1 ORDER BY expires_at LIMIT 1000)",
    "DELETE FROM logins WHERE id IN (SELECT id FROM logins WHERE ended_at < $1 ORDER BY ended_at LIMIT 1000)",
];

/// Deletes up to a thousand logins each that ended and that expired before the retention period, and as many known networks. Returns how many.
pub async fn sweep(tx: &mut Tx, now: Timestamp) -> Result<u64, StoreError> {
    let mut swept = known_networks::sweep(tx, now).await?;
    for sql in SWEEP {
        swept += with_conn!(tx.connection(), c => sqlx::query(sql)
            .bind(now - RETENTION).execute(c).await.map(|done| done.rows_affected()))?;
    }
    Ok(swept)
}

/// Drops the fraction of a second: tokens and rotations are dated in whole seconds.
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.seconds() * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn live_logins_are_found_among_many_that_have_ended() {
        let db = testing::databases().await.pop().expect("PostgreSQL");
        let user = testing::user(&db, "ada@example.org").await;
        let logins = format!(
            "INSERT INTO logins (user_id, created_at, rotated_at, last_used_at, expires_at, ended_at, device, address) \
             SELECT {user}, now(), now(), now(), now() + interval '1 day', CASE WHEN number % 1000 > 0 THEN now() END, 'phone', \
                    '10.0.' || number / 256 || '.' || number % 256 FROM generate_series(1, 5000) AS number"
        );
        testing::fill(&db, &[&logins]).await;
        let live = testing::pages_touched(&db, LIVE, &format!("{user}, now()")).await;
        assert!(live < 20, "{live}");
        let known = testing::pages_touched(&db, HAS_LOGIN_FROM, &format!("{user}, null, '10.0.1.1'")).await;
        assert!(known < 10, "{known}");
        for sql in SWEEP {
            // Nothing is old enough.
            let swept = testing::pages_touched(&db, sql, "now() - interval '1 day'").await;
            assert!(swept < 20, "{swept}: {sql}");
        }
    }
}
