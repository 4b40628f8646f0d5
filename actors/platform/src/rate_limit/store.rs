//! The counters: in the database, in Redis, or on this node while Redis is away.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use faceofmind_base::{Clock, Rng};
use faceofmind_db::{Database, StoreError};
use tokio::sync::watch;

use self::local::LocalCounters;
use super::{
    error::RateLimitError,
    window::{Counted, CounterRequest, Decision},
};
use crate::{DependencyError, redis::RedisClient};

mod local;
mod redis;
mod sql;

/// Where all nodes share their counters.
#[derive(Clone, Debug)]
pub enum Counters {
    /// The table `counters`.
    Sql(Database),
    /// Redis. While it is away, each node counts alone.
    Redis(RedisClient),
}

/// Counted uses, and where they were counted, so that they can be refunded.
#[derive(Debug, Default)]
#[must_use = "the uses stay counted unless they are refunded"]
pub struct Reservation {
    counted: Vec<Counted>,
    is_local: bool,
}

impl Reservation {
    pub(super) fn is_empty(&self) -> bool {
        self.counted.is_empty()
    }
}

/// The counters and their fallback. Clones share the state, which outlives the actor.
#[derive(Clone, Debug)]
pub(super) struct CounterStore {
    counters: Counters,
    local: LocalCounters,
    degraded: watch::Sender<bool>,
    /// By the name of the limit.
    found_full: Arc<Mutex<BTreeMap<&'static str, u64>>>,
    clock: Clock,
}

impl CounterStore {
    pub(super) fn new(counters: Counters, max_local_counters: u64, clock: Clock) -> Self {
        let (local, degraded) = (LocalCounters::new(max_local_counters), watch::Sender::new(false));
        Self { counters, local, degraded, found_full: Arc::default(), clock }
    }

    /// Returns how often each limit was found full.
    pub(super) fn found_full(&self) -> BTreeMap<&'static str, u64> {
        self.found_full.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count_full(&self, limit: &'static str) {
        *self.found_full.lock().unwrap_or_else(PoisonError::into_inner).entry(limit).or_default() += 1;
    }

    /// Whether this node counts alone because Redis is away.
    pub(super) fn is_degraded(&self) -> bool {
        *self.degraded.borrow()
    }

    pub(super) fn kind(&self) -> &'static str {
        match &self.counters {
            Counters::Sql(db) => db.kind(),
            Counters::Redis(_) => "Redis",
        }
    }

    /// Counts the uses of each caller, one caller after the other, in one round trip.
    pub(super) async fn acquire(
        &self,
        requests: &[Vec<CounterRequest>],
    ) -> Result<Vec<Result<Reservation, RateLimitError>>, StoreError> {
        let now = self.clock.now();
        let (decisions, is_local) = match &self.counters {
            Counters::Sql(db) => (sql::acquire(db, requests, now).await?, false),
            Counters::Redis(redis) if !self.is_degraded() => match redis::acquire(redis, requests, now).await {
                Ok(decisions) => (decisions, false),
                Err(error) => {
                    self.degrade(&error);
                    (self.local.acquire(requests, now), true)
                }
            },
            Counters::Redis(_) => (self.local.acquire(requests, now), true),
        };
        let outcome = |decision| match decision {
            Decision::Counted(counted) => Ok(Reservation { counted, is_local }),
            Decision::Refused { limit, retry_after } => {
                self.count_full(limit);
                Err(RateLimitError::Exceeded { retry_after })
            }
        };
        Ok(decisions.into_iter().map(outcome).collect())
    }

    /// Takes uses back where they were counted.
    pub(super) async fn refund(&self, reservations: Vec<Reservation>) -> Result<(), Box<dyn Error + Send + Sync>> {
        let (local, shared): (Vec<_>, Vec<_>) = reservations.into_iter().partition(|reservation| reservation.is_local);
        let [local, shared] =
            [local, shared].map(|reservations| reservations.into_iter().flat_map(|r| r.counted).collect::<Vec<_>>());
        self.local.refund(&local, self.clock.now());
        match &self.counters {
            _ if shared.is_empty() => {}
            Counters::Sql(db) => sql::refund(db, shared).await?,
            Counters::Redis(redis) => redis::refund(redis, &shared).await?,
        }
        Ok(())
    }

    /// Deletes expired counters. Redis does so by itself.
    pub(super) async fn sweep(&self) -> Result<(), StoreError> {
        match &self.counters {
            Counters::Sql(db) => sql::sweep(db, self.clock.now()).await,
            Counters::Redis(_) => Ok(()),
        }
    }

    fn degrade(&self, error: &DependencyError) {
        if !self.degraded.send_replace(true) {
            tracing::warn!(%error, "lost Redis; rate limits are counted on this node alone until it returns");
        }
    }

    /// Returns to Redis whenever it is back. Never ends.
    pub(super) async fn watch(self, interval: Duration, rng: Rng) {
        let Counters::Redis(redis) = &self.counters else { return };
        let mut degraded = self.degraded.subscribe();
        while degraded.wait_for(|&degraded| degraded).await.is_ok() {
            tokio::time::sleep(rng.jitter(interval)).await;
            if redis.is_up().await {
                self.degraded.send_replace(false);
                tracing::info!("Redis is back; rate limits are counted there again");
            }
        }
    }
}
