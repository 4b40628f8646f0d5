//! Where the codes are, as keyed hashes only.
//!
//! The attempts that a code has left are also its state: above zero it is live, at zero it was guessed away, below zero it is consumed, and
//! the number without its sign is what it has left when it is made valid again.

use faceofmind_base::Timestamp;
use faceofmind_db::Database;
use faceofmind_model::ClaimId;
use faceofmind_runtime::AskError;

use super::{IssueQuota, OnMatch, OtpError, messages::CodeKey};
use crate::{DependencyError, redis::RedisClient};

mod redis;
mod sql;

/// The store of the codes.
#[derive(Clone, Debug)]
pub enum CodeStore {
    /// The table `codes`.
    Sql(Database),
    /// Redis, a hash for each address and purpose.
    Redis(RedisClient),
}

/// A code to store.
#[derive(Clone, Debug)]
pub(super) struct NewCode {
    pub(super) id: String,
    /// The keyed hash of purpose, address and code.
    pub(super) mac: String,
    pub(super) claim: Option<ClaimId>,
    pub(super) job: String,
    /// A keyed hash.
    pub(super) client: String,
    pub(super) attempts_left: i32,
    pub(super) issued_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

/// The id of a code, and what it verifies.
pub(super) type FoundCode = (String, Option<ClaimId>);

/// What to do without a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnMiss {
    /// Take an attempt from each live code.
    CountFailure,
    Ignore,
}

impl CodeStore {
    /// Stores a code. Returns `false` when it exceeds the quota.
    pub(super) async fn issue(&self, key: &CodeKey, code: &NewCode, quota: &IssueQuota) -> Result<bool, OtpError> {
        match self {
            Self::Sql(db) => Ok(sql::issue(db, key, code, quota).await?),
            Self::Redis(redis) => redis::issue(redis, key, code, quota).await.map_err(unavailable),
        }
    }

    /// Finds the live code of this keyed hash. Without one, each live code of the key loses an attempt, if that is asked for. Atomic.
    pub(super) async fn verify(
        &self,
        key: &CodeKey,
        mac: &str,
        now: Timestamp,
        then: (OnMatch, OnMiss),
    ) -> Result<Option<FoundCode>, OtpError> {
        match self {
            Self::Sql(db) => Ok(sql::verify(db, key, mac, now, then).await?),
            Self::Redis(redis) => redis::verify(redis, key, mac, now, then).await.map_err(unavailable),
        }
    }

    /// Counts the live codes of the key. Links, which have more attempts left, are not counted.
    pub(super) async fn count_live(&self, key: &CodeKey, now: Timestamp, max_attempts: i32) -> Result<usize, OtpError> {
        match self {
            Self::Sql(db) => Ok(sql::count_live(db, key, now, max_attempts).await?),
            Self::Redis(redis) => redis::count_live(redis, key, now, max_attempts).await.map_err(unavailable),
        }
    }

    /// Consumes a live code. Returns `false` when it is no longer live.
    pub(super) async fn consume(&self, key: &CodeKey, id: &str, now: Timestamp) -> Result<bool, OtpError> {
        match self {
            Self::Sql(db) => Ok(sql::consume(db, key, id, now).await?),
            Self::Redis(redis) => redis::consume(redis, key, id, now).await.map_err(unavailable),
        }
    }

    pub(super) async fn unconsume(&self, key: &CodeKey, id: &str) -> Result<(), OtpError> {
        match self {
            Self::Sql(db) => Ok(sql::unconsume(db, key, id).await?),
            Self::Redis(redis) => redis::unconsume(redis, key, id).await.map_err(unavailable),
        }
    }

    pub(super) async fn revoke(&self, key: &CodeKey) -> Result<(), OtpError> {
        match self {
            Self::Sql(db) => Ok(sql::revoke(db, key).await?),
            Self::Redis(redis) => redis::revoke(redis, key).await.map_err(unavailable),
        }
    }

    /// Deletes the codes that were issued until then. Redis expires them itself.
    pub(super) async fn sweep(&self, until: Timestamp) -> Result<(), OtpError> {
        match self {
            Self::Sql(db) => Ok(sql::sweep(db, until).await?),
            Self::Redis(_) => Ok(()),
        }
    }

    /// Whether the store can be reached. While it cannot, every request fails.
    pub async fn is_up(&self) -> bool {
        match self {
            Self::Sql(db) => db.is_up().await,
            Self::Redis(redis) => redis.is_up().await,
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Sql(db) => db.kind(),
            Self::Redis(_) => "Redis",
        }
    }
}

fn unavailable(error: DependencyError) -> OtpError {
    tracing::warn!(%error, "request about a one-time code failed");
    AskError::from(error).into()
}
