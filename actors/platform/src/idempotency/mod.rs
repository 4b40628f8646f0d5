//! The first answer to a creating call, for those who ask again with the same `Idempotency-Key`.
//!
//! No actor: whoever creates something claims the key and settles it in the transaction of the change, so a key without an answer
//! never lasts, and a change is never made twice. On PostgreSQL the second of two parallel claims waits for the first's transaction
//! and then reads its answer; on SQLite writers take turns anyhow.
//!
//! Answers repeat what people said, so they rest sealed.

use std::{fmt::Write as _, time::Duration};

use aws_lc_rs::digest;
use faceofmind_base::Timestamp;
use faceofmind_db::{Connection, Database, Tx, with_conn};
use faceofmind_runtime::legacy::Failure;
use serde::{Deserialize, Serialize};

use crate::encryption::Keyring;
use faceofmind_model::user::UserId;

mod many;
mod resealing;
pub use many::{release_all, settle_all};
pub use resealing::reseal;

/// A key older than this counts as new.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// One row in the answer means that the key is ours: new, or kept no longer. A live key's row is locked all the same, so the answer read
/// next cannot go away.
const CLAIM: &str = "INSERT INTO idempotency_keys (user_id, call, key, body_hash, created_at) VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (user_id, call, key) DO UPDATE \
    SET body_hash = excluded.body_hash, created_at = excluded.created_at, answer = NULL \
    WHERE idempotency_keys.created_at <= $6";
const READ: &str = "SELECT body_hash, answer FROM idempotency_keys \
    WHERE user_id = $1 AND call = $2 AND key = $3 AND created_at > $4";
const SETTLE: &str = "UPDATE idempotency_keys SET answer = $4 WHERE user_id = $1 AND call = $2 AND key = $3";
const ERASE: &str = "DELETE FROM idempotency_keys WHERE user_id = $1";
/// A thousand at a time, so that a day's keys do not hold up SQLite's other writers.
const SWEEP: &str = "DELETE FROM idempotency_keys WHERE created_at <= $1 AND (user_id, call, key) IN \
    (SELECT user_id, call, key FROM idempotency_keys WHERE created_at <= $1 LIMIT 1000)";

/// What a client says is one request, however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Whose key; the same word of another user is another key.
    pub user: UserId,
    /// Method and path, as `POST /api/v1/sessions/`; the same word at another call is another key.
    pub call: String,
    /// The client's word: 1 to 255 printable characters.
    pub key: String,
    /// SHA-256 of the body in hexadecimal, to tell the same request from another under the same word.
    pub body_hash: String,
}

/// A 2xx answer as it was first given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The status, 200 to 299.
    pub status: u16,
    /// The JSON body, byte for byte.
    pub body: String,
}

/// What came of a call that may be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Once<T> {
    /// It was done now.
    Now(T),
    /// It was done before, and was answered so.
    Again(Answer),
}

/// Whose a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The claimant's: make the change and [`settle`] it in the same transaction.
    First,
    /// An earlier request's, which was answered so.
    Again(Answer),
    /// An earlier request's, whose body was another.
    Mismatch,
}

impl Claim {
    /// How an earlier request was answered; `None` for the first.
    ///
    /// # Errors
    /// `mismatch`, when the earlier request's body was another.
    pub fn earlier<E>(self, mismatch: E) -> Result<Option<Answer>, E> {
        match self {
            Self::First => Ok(None),
            Self::Again(answer) => Ok(Some(answer)),
            Self::Mismatch => Err(mismatch),
        }
    }
}

impl Key {
    /// The key of a request with this body.
    pub fn of(user: UserId, call: impl Into<String>, key: impl Into<String>, body: &[u8]) -> Self {
        let mut body_hash = String::with_capacity(2 * digest::SHA256_OUTPUT_LEN);
        for byte in digest::digest(&digest::SHA256, body).as_ref() {
            let _infallible = write!(body_hash, "{byte:02x}");
        }
        Self { user, call: call.into(), key: key.into(), body_hash }
    }

    /// What makes it this key and no other.
    pub fn scope(&self) -> (UserId, &str, &str) {
        (self.user, &self.call, &self.key)
    }

    /// Where its answer rests, as the [`Keyring`] knows it.
    pub fn place(&self) -> String {
        place(self.user, &self.call, &self.key)
    }
}

fn place(user: UserId, call: &str, key: &str) -> String {
    format!("idempotency/{user}/{call}/{key}")
}

impl Answer {
    /// This status with `body` as JSON.
    ///
    /// # Errors
    /// [`Failure::Store`] when `body` cannot be JSON, as a map whose keys are no strings.
    pub fn of(status: u16, body: &impl Serialize) -> Result<Self, Failure> {
        let body = serde_json::to_string(body).map_err(|error| sqlx::Error::Encode(error.into()))?;
        Ok(Self { status, body })
    }
}

/// Takes the key, or tells how it was answered. Waits for the transaction of a parallel claim.
///
/// # Errors
/// [`Failure::Store`], also when the user does not exist; [`Failure::Dependency`] when the answer cannot be opened any more.
pub async fn claim(tx: &mut Tx, keyring: &Keyring, key: &Key, now: Timestamp) -> Result<Claim, Failure> {
    let taken = with_conn!(tx.connection(), c => sqlx::query(CLAIM)
        .bind(key.user).bind(&key.call).bind(&key.key).bind(&key.body_hash).bind(now).bind(now - KEPT)
        .execute(c).await.map(|done| done.rows_affected()))?;
    if taken > 0 {
        return Ok(Claim::First);
    }
    let kept = read(tx.connection(), keyring, key, now).await?;
    kept.ok_or_else(|| sqlx::Error::RowNotFound.into())
}

/// How the key was answered, if it was: for those who do something outside of the transaction in which they [`claim`].
///
/// # Errors
/// As [`claim`].
pub async fn answered(db: &Database, keyring: &Keyring, key: &Key, now: Timestamp) -> Result<Option<Claim>, Failure> {
    read(db.read_conn().await?.connection(), keyring, key, now).await
}

/// Keeps the answer to a claim that was [`Claim::First`], in the same transaction.
///
/// # Errors
/// [`Failure::Store`]; [`Failure::Dependency`] when it cannot be sealed.
pub async fn settle(tx: &mut Tx, keyring: &Keyring, key: &Key, answer: &Answer) -> Result<(), Failure> {
    let sealed = seal(keyring, key, answer)?;
    with_conn!(tx.connection(), c => sqlx::query(SETTLE)
        .bind(key.user).bind(&key.call).bind(&key.key).bind(sealed)
        .execute(c).await.map(drop))?;
    Ok(())
}

/// Forgets a user's keys and their answers.
///
/// # Errors
/// [`Failure::Store`].
pub async fn erase(tx: &mut Tx, user: UserId) -> Result<(), Failure> {
    with_conn!(tx.connection(), c => sqlx::query(ERASE).bind(user).execute(c).await.map(drop))?;
    Ok(())
}

/// Deletes up to a thousand keys that are kept no longer, and tells how many; call it again while it deletes any.
///
/// # Errors
/// [`Failure::Store`].
pub async fn sweep(tx: &mut Tx, now: Timestamp) -> Result<u64, Failure> {
    Ok(with_conn!(tx.connection(), c => sqlx::query(SWEEP)
        .bind(now - KEPT)
        .execute(c).await.map(|done| done.rows_affected()))?)
}

async fn read(
    connection: Connection<'_>,
    keyring: &Keyring,
    key: &Key,
    now: Timestamp,
) -> Result<Option<Claim>, Failure> {
    let row: Option<(String, String)> = with_conn!(connection, c => sqlx::query_as(READ)
        .bind(key.user).bind(&key.call).bind(&key.key).bind(now - KEPT)
        .fetch_optional(c).await)?;
    match row {
        None => Ok(None),
        Some((body_hash, sealed)) if body_hash == key.body_hash => Ok(Some(Claim::Again(open(keyring, key, &sealed)?))),
        Some(_) => Ok(Some(Claim::Mismatch)),
    }
}

/// How an answer rests in the table. Nobody else writes one, and only [`open`] reads one.
fn seal(keyring: &Keyring, key: &Key, answer: &Answer) -> Result<String, Failure> {
    let plain = serde_json::to_string(answer).map_err(|error| sqlx::Error::Encode(error.into()))?;
    keyring.seal(&key.place(), &plain)
}

fn open(keyring: &Keyring, key: &Key, sealed: &str) -> Result<Answer, Failure> {
    let plain = keyring.open(&key.place(), sealed)?;
    serde_json::from_str(&plain).map_err(|error| sqlx::Error::Decode(error.into()).into())
}

#[cfg(test)]
mod tests;
