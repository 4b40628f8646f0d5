//! Where the counters are.

use faceofmind_base::{Clock, Rng};
use faceofmind_db::Database;
use faceofmind_runtime::legacy::Failure;
use std::time::Duration;
use tokio::sync::watch;

use self::node::NodeCounters;
use super::window::{Counted, Order, Verdict};
use crate::redis::RedisServer;

mod node;
mod redis;
mod sql;

/// Where all nodes see them.
#[derive(Clone, Debug)]
pub enum Counters {
    /// The table `counters`.
    Sql(Database),
    /// Redis; while it is away each node counts for itself.
    Redis(RedisServer),
}

/// What was counted, and where, so that it can be given back.
#[derive(Debug, Default)]
#[must_use = "what was counted stays counted unless it is given back"]
pub struct Taken {
    pub(super) counted: Vec<Counted>,
    by_node: bool,
}

/// What came of one order: taken, or how long to wait.
pub(super) type Outcome = Result<Taken, Duration>;

/// The counters as the limiter uses them. Clones share the state, which outlives the actor.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    counters: Counters,
    node: NodeCounters,
    alone: watch::Sender<bool>,
    clock: Clock,
}

impl Ledger {
    pub(super) fn new(counters: Counters, node_counters: u64, clock: Clock) -> Self {
        Self { counters, node: NodeCounters::new(node_counters), alone: watch::Sender::new(false), clock }
    }

    /// Whether this node counts for itself, because Redis is away.
    pub(super) fn is_degraded(&self) -> bool {
        *self.alone.borrow()
    }

    /// Whether the counters that all nodes see can be reached now.
    pub(super) async fn is_up(&self) -> bool {
        match &self.counters {
            Counters::Sql(db) => db.is_up().await,
            Counters::Redis(server) => server.is_up().await,
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match &self.counters {
            Counters::Sql(db) => db.kind(),
            Counters::Redis(_) => "Redis",
        }
    }

    /// Counts the orders, one after the other, in one round trip.
    pub(super) async fn take(&self, orders: &[Order]) -> Result<Vec<Outcome>, Failure> {
        let now = self.clock.now();
        match &self.counters {
            Counters::Sql(db) => Ok(outcomes(sql::take(db, orders, now).await?, false)),
            Counters::Redis(server) if !self.is_degraded() => match redis::take(server, orders, now).await {
                Ok(verdicts) => Ok(outcomes(verdicts, false)),
                Err(failure) => {
                    self.degrade(&failure);
                    Ok(outcomes(self.node.take(orders, now), true))
                }
            },
            Counters::Redis(_) => Ok(outcomes(self.node.take(orders, now), true)),
        }
    }

    /// Takes uses back where they were counted.
    pub(super) async fn give_back(&self, taken: Vec<Taken>) -> Result<(), Failure> {
        let (by_node, by_all): (Vec<_>, Vec<_>) = taken.into_iter().partition(|taken| taken.by_node);
        let [by_node, by_all] =
            [by_node, by_all].map(|taken| taken.into_iter().flat_map(|t| t.counted).collect::<Vec<_>>());
        self.node.give_back(&by_node, self.clock.now());
        match &self.counters {
            _ if by_all.is_empty() => Ok(()),
            Counters::Sql(db) => sql::give_back(db, by_all).await,
            Counters::Redis(server) => redis::give_back(server, &by_all).await,
        }
    }

    /// Deletes what is over; Redis does so by itself.
    pub(super) async fn sweep(&self) -> Result<u64, Failure> {
        match &self.counters {
            Counters::Sql(db) => sql::sweep(db, self.clock.now()).await,
            Counters::Redis(_) => Ok(0),
        }
    }

    fn degrade(&self, cause: &Failure) {
        if !self.alone.send_replace(true) {
            tracing::warn!(%cause, "limits are counted on this node alone until Redis returns");
        }
    }

    /// Goes back to Redis, whenever it returns. Never ends.
    pub(super) async fn watch(self, every: Duration, rng: Rng) {
        let Counters::Redis(server) = &self.counters else { return };
        let mut alone = self.alone.subscribe();
        while alone.wait_for(|&alone| alone).await.is_ok() {
            tokio::time::sleep(rng.jitter(every)).await;
            if server.is_up().await {
                self.alone.send_replace(false);
                tracing::info!("Redis is back: limits are counted there again");
            }
        }
    }
}

fn outcomes(verdicts: Vec<Verdict>, by_node: bool) -> Vec<Outcome> {
    let outcome = |verdict| match verdict {
        Verdict::Taken(counted) => Ok(Taken { counted, by_node }),
        Verdict::Refused { retry_after } => Err(retry_after),
    };
    verdicts.into_iter().map(outcome).collect()
}
