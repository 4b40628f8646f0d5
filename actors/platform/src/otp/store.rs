//! Where the codes are, as keyed hashes only.
//!
//! A code's tries say how it stands: above zero it is live, at zero guessed away, below zero used up, with so many tries to come back with.

use faceofmind_base::Timestamp;
use faceofmind_db::Database;
use faceofmind_runtime::legacy::Failure;

use super::{Budget, request::Slot};
use crate::redis::RedisServer;
use faceofmind_model::user::ClaimId;

mod redis;
mod sql;

/// The store of the codes.
#[derive(Clone, Debug)]
pub enum Codes {
    /// The table `codes`.
    Sql(Database),
    /// Redis, a hash for each address and purpose.
    Redis(RedisServer),
}

/// A code to be stored.
#[derive(Clone, Debug)]
pub(super) struct NewCode {
    pub(super) id: String,
    /// Keyed hash of purpose, address and code.
    pub(super) mac: String,
    pub(super) claim: Option<ClaimId>,
    pub(super) intent: String,
    /// Keyed hash of the client address.
    pub(super) client: String,
    pub(super) tries: i32,
    pub(super) minted_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

/// The code that was guessed.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) id: String,
    pub(super) claim: Option<ClaimId>,
}

/// What is done with the right code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Keep,
    Consume,
}

impl Codes {
    /// Stores a code; false when it is beyond the budget.
    pub(super) async fn mint(&self, slot: &Slot, code: &NewCode, budget: &Budget) -> Result<bool, Failure> {
        match self {
            Self::Sql(db) => sql::mint(db, slot, code, budget).await,
            Self::Redis(server) => redis::mint(server, slot, code, budget).await,
        }
    }

    /// Finds the live code of this keyed hash; when there is none, each live code of the slot loses a try. One step, whoever else guesses.
    pub(super) async fn guess(
        &self,
        slot: &Slot,
        mac: &str,
        now: Timestamp,
        then: Then,
    ) -> Result<Option<Found>, Failure> {
        match self {
            Self::Sql(db) => sql::guess(db, slot, mac, now, then).await,
            Self::Redis(server) => redis::guess(server, slot, mac, now, then).await,
        }
    }

    /// Uses a live code up; false when it is not live any more.
    pub(super) async fn consume(&self, slot: &Slot, id: &str, now: Timestamp) -> Result<bool, Failure> {
        match self {
            Self::Sql(db) => sql::consume(db, slot, id, now).await,
            Self::Redis(server) => redis::consume(server, slot, id, now).await,
        }
    }

    /// Puts a used code back.
    pub(super) async fn restore(&self, slot: &Slot, id: &str) -> Result<(), Failure> {
        match self {
            Self::Sql(db) => sql::restore(db, slot, id).await,
            Self::Redis(server) => redis::restore(server, slot, id).await,
        }
    }

    /// Deletes all codes of the slot.
    pub(super) async fn forget(&self, slot: &Slot) -> Result<(), Failure> {
        match self {
            Self::Sql(db) => sql::forget(db, slot).await,
            Self::Redis(server) => redis::forget(server, slot).await,
        }
    }

    /// Deletes what was minted until then; Redis does so by itself.
    pub(super) async fn sweep(&self, until: Timestamp) -> Result<u64, Failure> {
        match self {
            Self::Sql(db) => sql::sweep(db, until).await,
            Self::Redis(_) => Ok(0),
        }
    }

    pub(super) async fn is_up(&self) -> bool {
        match self {
            Self::Sql(db) => db.is_up().await,
            Self::Redis(server) => server.is_up().await,
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Sql(db) => db.kind(),
            Self::Redis(_) => "Redis",
        }
    }
}
