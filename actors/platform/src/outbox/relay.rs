//! The message relay: publishes the outbox to NATS and to the event bus while this node is the leader.

use std::{pin::pin, time::Duration};

use faceofmind_base::Clock;
use faceofmind_db::{Database, StoreError, lease};
use faceofmind_model::{UserId, event::PublishedEvent};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use super::{
    Deps, EventBus, OutboxError, Settings,
    store::{self, Backlog, PendingEvent},
    stream::{BackwardReader, StreamWriter},
};
use crate::nats::ConnectionState;

const LEASE: &str = "publisher";
/// The shortest lease on an SQLite file. The file has one process, which need not write every second to stay the leader.
const MIN_SQLITE_LEASE: Duration = Duration::from_secs(3600);

/// What this node does for the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Publishes.
    Leader,
    /// Another node publishes.
    Follower,
    /// Has no connection to NATS, and leaves publishing to connected nodes.
    Disconnected,
}

pub(super) struct PassOutcome {
    pub(super) role: Role,
    /// How many events this pass published.
    pub(super) published: usize,
    /// The last of their positions.
    pub(super) last_position: Option<i64>,
    /// Whether another pass has work at once.
    pub(super) more: bool,
    /// Counted once in a poll interval.
    pub(super) backlog: Option<Backlog>,
}

pub(super) struct Relay {
    pub(super) settings: Settings,
    pub(super) db: Database,
    pub(super) clock: Clock,
    pub(super) bus: EventBus,
    /// None without NATS.
    pub(super) writer: Option<StreamWriter>,
    /// Identifies this node in the lease.
    holder: String,
    /// When the lease of this node expires. None while it is not the leader.
    pub(super) leader_until: Option<Instant>,
    last_sweep: Option<Instant>,
    last_count: Option<Instant>,
}

/// What has arrived in the stream, in its order, and whether another pass has work at once.
struct Arrivals {
    arrived: Vec<PendingEvent>,
    more: bool,
}

impl Relay {
    pub(super) fn new(settings: Settings, deps: Deps, holder: String) -> Self {
        Self {
            settings,
            db: deps.db,
            clock: deps.clock,
            bus: deps.bus,
            writer: deps.nats.map(|nats| StreamWriter::new(nats, settings.stream)),
            holder,
            leader_until: None,
            last_sweep: None,
            last_count: None,
        }
    }

    pub(super) fn connection(&self) -> Option<&ConnectionState> {
        self.writer.as_ref().map(StreamWriter::connection)
    }

    /// Publishes a window of pending events, if this node is the leader.
    ///
    /// # Errors
    /// The database or NATS failed. No event is lost or published twice: the next pass reads from the stream what has arrived.
    pub(super) async fn run_pass(&mut self) -> Result<PassOutcome, OutboxError> {
        self.bus.init().await?;
        let role = self.role().await?;
        let mut more = false;
        let mut published = Vec::new();
        if role == Role::Leader {
            let pending = store::pending(&self.db, self.settings.stream.window).await?;
            let delivery = self.deliver(pending).await?;
            more = delivery.more;
            published = self.assign_positions(delivery.arrived).await?;
            self.sweep_when_due().await?;
        }
        let (count, last_position) = (published.len(), published.last().map(|event| event.position));
        self.bus.publish(published).await?;
        Ok(PassOutcome { role, published: count, last_position, more, backlog: self.count_when_due().await? })
    }

    /// Puts on this node's bus what the leader has published.
    pub(super) async fn catch_up(&mut self) -> Result<PassOutcome, OutboxError> {
        self.bus.init().await?;
        self.bus.catch_up().await?;
        Ok(PassOutcome { role: Role::Follower, published: 0, last_position: None, more: false, backlog: None })
    }

    /// Publishes all pending events, if this node is the leader, and releases the lease also after a failure.
    pub(super) async fn shut_down(&mut self) -> Result<(), OutboxError> {
        let published = loop {
            match self.run_pass().await {
                Ok(outcome) if outcome.more => {}
                other => break other.map(drop),
            }
        };
        let released = self.release_leadership().await;
        published.and(released.map_err(OutboxError::from))
    }

    /// Releases the lease, so that another node may lead at once. After a failure it expires by itself.
    pub(super) async fn release_leadership(&mut self) -> Result<(), StoreError> {
        if self.leader_until.take().is_some() {
            lease::release(&self.db, LEASE, &self.holder).await?;
            tracing::info!("publisher lease released");
        }
        Ok(())
    }

    async fn role(&mut self) -> Result<Role, StoreError> {
        if self.connection().is_some_and(|connection| !connection.is_connected()) {
            self.release_leadership().await?;
            return Ok(Role::Disconnected);
        }
        Ok(if self.ensure_leadership().await? { Role::Leader } else { Role::Follower })
    }

    /// Acquires the lease, or renews it when a quarter of it has passed.
    async fn ensure_leadership(&mut self) -> Result<bool, StoreError> {
        let (now, length) = (Instant::now(), self.lease_length());
        if self.leader_until.is_some_and(|until| until > now + length * 3 / 4) {
            return Ok(true);
        }
        let led = self.leader_until.is_some_and(|until| until > now);
        let held = lease::acquire(&self.db, LEASE, &self.holder, self.clock.now(), length).await?;
        if held && !led {
            tracing::info!("publisher lease acquired");
            self.forget_end();
        }
        if led && !held {
            tracing::warn!("publisher lease lost to another node");
        }
        self.leader_until = held.then_some(now + length);
        Ok(held)
    }

    fn lease_length(&self) -> Duration {
        match &self.db {
            Database::Postgres(_) => self.settings.lease,
            Database::Sqlite(..) => self.settings.lease.max(MIN_SQLITE_LEASE),
        }
    }

    async fn deliver(&mut self, mut pending: Vec<PendingEvent>) -> Result<Arrivals, OutboxError> {
        let full = pending.len() == self.settings.stream.window;
        if self.writer.is_none() {
            return Ok(Arrivals { arrived: pending, more: full });
        }
        let arrived = self.find_end(&pending).await?;
        if !arrived.is_empty() {
            tracing::info!(events = arrived.len(), "events found in the stream whose acknowledgements were lost");
            return Ok(Arrivals { arrived, more: true });
        }
        let cut = split_at_user_deleted(&mut pending);
        if let Some(event) = pending.first().filter(|event| event.is_user_deleted()) {
            self.erase(event.user_id).await?;
        }
        self.publish(pending, full || cut).await
    }

    /// Reads the stream's end where it is unknown, and returns the pending events that have arrived.
    async fn find_end(&mut self, pending: &[PendingEvent]) -> Result<Vec<PendingEvent>, OutboxError> {
        match &mut self.writer {
            Some(writer) if !writer.knows_end() => {
                let tail = writer.sync().await?;
                if pending.is_empty() { Ok(Vec::new()) } else { self.find_arrived(tail).await }
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Deletes a user's messages from the stream, however long it takes, and renews the lease meanwhile.
    async fn erase(&mut self, user: UserId) -> Result<(), OutboxError> {
        let Some(writer) = &self.writer else { return Ok(()) };
        let mut erasing = pin!(writer.erase(user));
        loop {
            tokio::select! {
                erased = &mut erasing => {
                    tracing::info!(events = erased?, "events of a deleted user erased from the stream");
                    return Ok(());
                }
                () = tokio::time::sleep(self.settings.lease / 4) => { self.ensure_leadership().await?; }
            }
        }
    }

    async fn publish(&mut self, mut pending: Vec<PendingEvent>, more: bool) -> Result<Arrivals, OutboxError> {
        let (Some(writer), Some(until)) = (&mut self.writer, self.leader_until) else {
            return Ok(Arrivals { arrived: Vec::new(), more: false });
        };
        let sent = writer.publish(&pending, until).await;
        pending.truncate(sent.arrived);
        match sent.outcome {
            Err(error) if sent.arrived == 0 => Err(error),
            Err(error) => {
                tracing::info!(%error, arrived = sent.arrived, "a part of the pending events was published; the rest is retried");
                Ok(Arrivals { arrived: pending, more: true })
            }
            Ok(()) => Ok(Arrivals { arrived: pending, more }),
        }
    }

    /// Returns the events that have arrived in the stream and have no position yet. Reads backwards until a whole window shows none:
    /// positions are assigned in the stream's order, a window at a time.
    async fn find_arrived(&self, mut tail: BackwardReader) -> Result<Vec<PendingEvent>, OutboxError> {
        let mut arrived = Vec::new();
        loop {
            let ids = tail.read_backwards(self.settings.stream.window).await?;
            let mut pending = if ids.is_empty() { Vec::new() } else { store::pending_among(&self.db, &ids).await? };
            if pending.is_empty() {
                return Ok(arrived);
            }
            pending.sort_by_key(|event| ids.iter().position(|id| *id == event.id));
            arrived.splice(0..0, pending);
        }
    }

    async fn assign_positions(&mut self, arrived: Vec<PendingEvent>) -> Result<Vec<PublishedEvent>, StoreError> {
        if arrived.is_empty() {
            return Ok(Vec::new());
        }
        let published = self.assign_as_leader(arrived).await;
        if published.is_err() || self.leader_until.is_none() {
            self.forget_end();
        }
        published
    }

    /// Assigns positions and renews the lease in one transaction. If the lease was lost, the new leader finds the events in the stream.
    async fn assign_as_leader(&mut self, arrived: Vec<PendingEvent>) -> Result<Vec<PublishedEvent>, StoreError> {
        let (began, now, length) = (Instant::now(), self.clock.now(), self.lease_length());
        let mut tx = self.db.begin().await?;
        if !lease::acquire_in_tx(&mut tx, LEASE, &self.holder, now, length).await? {
            tracing::warn!("publisher lease lost to another node");
            self.leader_until = None;
            tx.rollback().await?;
            return Ok(Vec::new());
        }
        let published = store::assign_positions(&mut tx, arrived, now).await?;
        tx.commit().await?;
        self.leader_until = Some(began + length);
        Ok(published)
    }

    fn forget_end(&mut self) {
        if let Some(writer) = &mut self.writer {
            writer.forget_end();
        }
    }

    async fn sweep_when_due(&mut self) -> Result<(), StoreError> {
        if is_due(&mut self.last_sweep, self.settings.sweep_interval) {
            let deleted = store::sweep(&self.db, self.clock.now() - self.settings.retention).await?;
            tracing::debug!(deleted, "expired events deleted");
        }
        Ok(())
    }

    async fn count_when_due(&mut self) -> Result<Option<Backlog>, StoreError> {
        let due = is_due(&mut self.last_count, self.settings.poll_interval);
        Ok(if due { Some(store::backlog(&self.db).await?) } else { None })
    }
}

/// Keeps the events before the first `user.deleted`; if that is the first of all, the events before the second one. Returns whether any
/// were cut off. *Why*: the user is erased from the stream before `user.deleted` is published, and earlier events need not wait for that.
fn split_at_user_deleted(pending: &mut Vec<PendingEvent>) -> bool {
    let next = pending.iter().skip(1).position(PendingEvent::is_user_deleted);
    pending.truncate(next.map_or(usize::MAX, |after_first| after_first + 1));
    next.is_some()
}

/// Whether `interval` has passed since `last`, which is then now.
fn is_due(last: &mut Option<Instant>, interval: Duration) -> bool {
    let now = Instant::now();
    let due = last.is_none_or(|last| now - last >= interval);
    if due {
        *last = Some(now);
    }
    due
}
