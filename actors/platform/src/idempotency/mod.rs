//! The first response to a creating request, for requests that repeat its `Idempotency-Key`.
//!
//! There is no actor. A module claims the key and stores the response in the transaction of the change, so a key without a response never
//! lasts, and a change is never made twice. On PostgreSQL the second of two parallel claims waits for the transaction of the first and then
//! reads its response. On SQLite writers take turns anyhow.
//!
//! Responses repeat what people wrote, so they are stored encrypted.

use std::{fmt::Write as _, time::Duration};

use aws_lc_rs::digest;
use faceofmind_base::Timestamp;
use faceofmind_db::{Connection, Database, StoreError, Tx, with_conn};
use faceofmind_model::UserId;
use serde::{Deserialize, Serialize};

use crate::encryption::Keyring;

mod bulk;
mod reencrypt;

pub use bulk::{release_all, store_responses};
pub use reencrypt::reencrypt;

/// A key older than this counts as new.
pub const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// Affects one row when the key is new or has lapsed. A live key's row is locked all the same, so that the response read next cannot go
/// away.
const CLAIM: &str = "INSERT INTO idempotency_keys (user_id, call, key, body_hash, created_at) VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (user_id, call, key) DO UPDATE \
    SET body_hash = excluded.body_hash, created_at = excluded.created_at, answer = NULL \
    WHERE idempotency_keys.created_at <= $6";
const READ: &str = "SELECT body_hash, answer FROM idempotency_keys \
    WHERE user_id = $1 AND call = $2 AND key = $3 AND created_at > $4";
const STORE: &str = "UPDATE idempotency_keys SET answer = $4 WHERE user_id = $1 AND call = $2 AND key = $3";
const ERASE: &str = "DELETE FROM idempotency_keys WHERE user_id = $1";
/// At most 1000 rows, so that a day's keys do not hold up SQLite's other writers.
const SWEEP: &str = "DELETE FROM idempotency_keys WHERE created_at <= $1 AND (user_id, call, key) IN \
    (SELECT user_id, call, key FROM idempotency_keys WHERE created_at <= $1 LIMIT 1000)";

/// Identifies one request of a client, however often the client sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    pub user: UserId,
    /// Method and path, such as `POST /api/v1/sessions/`.
    pub endpoint: String,
    /// The client's key: 1 to 255 printable characters.
    pub key: String,
    /// SHA-256 of the body in hexadecimal. It tells a repeated request from another one with the same key.
    pub body_hash: String,
}

/// A 2xx response as it was first given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredResponse {
    /// 200 to 299.
    pub status: u16,
    /// The JSON body, byte for byte.
    pub body: String,
}

/// The result of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimResult {
    /// The key is the claimant's: make the change and call [`store_response`] in the same transaction.
    New,
    /// An earlier request had this key and got this response.
    Replay(StoredResponse),
    /// An earlier request had this key and another body.
    Conflict,
}

impl ClaimResult {
    /// Returns the earlier response; `None` for a new key.
    ///
    /// # Errors
    /// `conflict`, where the earlier request had another body.
    pub fn into_replay<E>(self, conflict: E) -> Result<Option<StoredResponse>, E> {
        match self {
            Self::New => Ok(None),
            Self::Replay(response) => Ok(Some(response)),
            Self::Conflict => Err(conflict),
        }
    }
}

impl IdempotencyKey {
    /// Returns the key of a request with this body.
    pub fn new(user: UserId, endpoint: impl Into<String>, key: impl Into<String>, body: &[u8]) -> Self {
        let mut body_hash = String::with_capacity(2 * digest::SHA256_OUTPUT_LEN);
        for byte in digest::digest(&digest::SHA256, body).as_ref() {
            let _infallible = write!(body_hash, "{byte:02x}");
        }
        Self { user, endpoint: endpoint.into(), key: key.into(), body_hash }
    }

    /// What distinguishes this key from others.
    pub fn scope(&self) -> (UserId, &str, &str) {
        (self.user, &self.endpoint, &self.key)
    }

    /// The AAD of its encrypted response.
    fn aad(&self) -> String {
        aad(self.user, &self.endpoint, &self.key)
    }
}

fn aad(user: UserId, endpoint: &str, key: &str) -> String {
    format!("idempotency/{user}/{endpoint}/{key}")
}

/// Claims the key. Waits for the transaction of a parallel claim.
///
/// # Errors
/// [`StoreError::is_foreign_key_violation`] where the user does not exist, [`StoreError::Corrupt`] where the response cannot be decrypted.
pub async fn claim(
    tx: &mut Tx,
    keyring: &Keyring,
    key: &IdempotencyKey,
    now: Timestamp,
) -> Result<ClaimResult, StoreError> {
    let claimed = with_conn!(tx.connection(), c => sqlx::query(CLAIM)
        .bind(key.user).bind(&key.endpoint).bind(&key.key).bind(&key.body_hash).bind(now).bind(now - RETENTION)
        .execute(c).await.map(|done| done.rows_affected()))?;
    if claimed > 0 {
        return Ok(ClaimResult::New);
    }
    read(tx.connection(), keyring, key, now).await?.ok_or(StoreError::Conflict)
}

/// Looks the key up without claiming it, for a module that does something before the transaction in which it [`claim`]s.
pub async fn look_up(
    db: &Database,
    keyring: &Keyring,
    key: &IdempotencyKey,
    now: Timestamp,
) -> Result<Option<ClaimResult>, StoreError> {
    read(db.read_conn().await?.connection(), keyring, key, now).await
}

/// Stores the response to a claim that was [`ClaimResult::New`], in the same transaction.
pub async fn store_response(
    tx: &mut Tx,
    keyring: &Keyring,
    key: &IdempotencyKey,
    response: &StoredResponse,
) -> Result<(), StoreError> {
    let encrypted = encrypt(keyring, key, response)?;
    with_conn!(tx.connection(), c => sqlx::query(STORE)
        .bind(key.user).bind(&key.endpoint).bind(&key.key).bind(encrypted)
        .execute(c).await.map(drop))?;
    Ok(())
}

/// Deletes a user's keys and their responses.
pub async fn erase(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    with_conn!(tx.connection(), c => sqlx::query(ERASE).bind(user).execute(c).await.map(drop))?;
    Ok(())
}

/// Deletes up to 1000 lapsed keys and returns their number. Call it again while it deletes any.
pub async fn sweep(tx: &mut Tx, now: Timestamp) -> Result<u64, StoreError> {
    Ok(with_conn!(tx.connection(), c => sqlx::query(SWEEP)
        .bind(now - RETENTION)
        .execute(c).await.map(|done| done.rows_affected()))?)
}

async fn read(
    connection: Connection<'_>,
    keyring: &Keyring,
    key: &IdempotencyKey,
    now: Timestamp,
) -> Result<Option<ClaimResult>, StoreError> {
    let row: Option<(String, String)> = with_conn!(connection, c => sqlx::query_as(READ)
        .bind(key.user).bind(&key.endpoint).bind(&key.key).bind(now - RETENTION)
        .fetch_optional(c).await)?;
    match row {
        None => Ok(None),
        Some((body_hash, stored)) if body_hash == key.body_hash => {
            Ok(Some(ClaimResult::Replay(decrypt(keyring, key, &stored)?)))
        }
        Some(_) => Ok(Some(ClaimResult::Conflict)),
    }
}

fn encrypt(keyring: &Keyring, key: &IdempotencyKey, response: &StoredResponse) -> Result<String, StoreError> {
    let plain = serde_json::to_string(response).map_err(StoreError::encode)?;
    Ok(keyring.encrypt(&key.aad(), &plain)?)
}

fn decrypt(keyring: &Keyring, key: &IdempotencyKey, stored: &str) -> Result<StoredResponse, StoreError> {
    let plain = keyring.decrypt(&key.aad(), stored)?;
    serde_json::from_str(&plain).map_err(|error| StoreError::corrupt(format!("{}: {error}", key.aad())))
}

#[cfg(test)]
mod tests;
