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
    store::{self, PendingEvent},
    stream::{Erased, StreamWriter},
};
use crate::{DependencyError, nats::ConnectionState};

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
    erasing: Option<Erasing>,
}

/// A user of whose messages a portion is deleted from the stream.
struct Erasing {
    user: UserId,
    /// The sequence number of the next message that may be theirs.
    from: u64,
    /// How many were deleted.
    messages: u64,
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
            erasing: None,
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
        }
        let (count, last_position) = (published.len(), published.last().map(|event| event.position));
        self.bus.publish(published).await?;
        Ok(PassOutcome { role, published: count, last_position, more })
    }

    /// Puts on this node's bus what the leader has published.
    pub(super) async fn catch_up(&mut self) -> Result<PassOutcome, OutboxError> {
        self.bus.init().await?;
        self.bus.catch_up().await?;
        Ok(PassOutcome { role: Role::Follower, published: 0, last_position: None, more: false })
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
    pub(super) async fn ensure_leadership(&mut self) -> Result<bool, StoreError> {
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

    /// Renews the lease in work that takes longer than it.
    ///
    /// # Errors
    /// Another node leads: it does the work.
    pub(super) async fn require_leadership(&mut self) -> Result<(), OutboxError> {
        if self.ensure_leadership().await? {
            return Ok(());
        }
        Err(DependencyError { service: "publisher lease", reason: "another node leads now".to_owned() }.into())
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
        let arrived = self.find_end().await?;
        if !arrived.is_empty() {
            tracing::info!(events = arrived.len(), "events found in the stream whose acknowledgements were lost");
            return Ok(Arrivals { arrived, more: true });
        }
        let deleted = pending.first().filter(|event| event.is_user_deleted()).map(|event| event.user_id);
        if let Some(user) = deleted
            && !self.erase_portion(user).await?
        {
            // The next portion comes with the next pass. The events of others need not wait for that.
            pending.retain(|event| !event.is_user_deleted());
            return self.publish(pending, true).await;
        }
        let cut = split_at_user_deleted(&mut pending);
        self.publish(pending, full || cut).await
    }

    /// Reads the stream's end where it is unknown, publishes again what the stream has lost, and returns the pending events that have arrived.
    async fn find_end(&mut self) -> Result<Vec<PendingEvent>, OutboxError> {
        let Some(writer) = &mut self.writer else { return Ok(Vec::new()) };
        if writer.knows_end().await {
            return Ok(Vec::new());
        }
        let tail = writer.sync().await?;
        let end = self.read_end(tail).await?;
        self.refill(&end).await?;
        Ok(end.arrived)
    }

    /// Deletes a portion of a user's messages from the stream, however long it takes, and renews the lease meanwhile. Returns whether none is left.
    pub(super) async fn erase_portion(&mut self, user: UserId) -> Result<bool, OutboxError> {
        let Some(writer) = &self.writer else { return Ok(true) };
        let begun = self.erasing.take().filter(|begun| begun.user == user);
        let begun = begun.unwrap_or(Erasing { user, from: 1, messages: 0 });
        let mut erasing = pin!(writer.erase(user, begun.from));
        loop {
            tokio::select! {
                erased = &mut erasing => {
                    let Erased { messages, rest_from } = erased?;
                    let messages = begun.messages + messages;
                    self.erasing = rest_from.map(|from| Erasing { user, from, messages });
                    if rest_from.is_none() {
                        tracing::info!(messages, "events of a deleted user erased from the stream");
                    }
                    return Ok(rest_from.is_none());
                }
                () = tokio::time::sleep(self.settings.lease / 4) => { self.ensure_leadership().await?; }
            }
        }
    }

    async fn publish(&mut self, mut pending: Vec<PendingEvent>, more: bool) -> Result<Arrivals, OutboxError> {
        let (Some(writer), Some(until), false) = (&mut self.writer, self.leader_until, pending.is_empty()) else {
            return Ok(Arrivals { arrived: Vec::new(), more });
        };
        let sent = writer.publish(&pending, until).await;
        let first_left = pending.get(sent.arrived).map(|event| event.seq);
        pending.truncate(sent.arrived);
        let Err(failure) = sent.outcome else { return Ok(Arrivals { arrived: pending, more }) };
        if let Some(seq) = first_left.filter(|_| failure.refused) {
            store::refuse(&self.db, seq, &failure.error.to_string()).await?;
        } else if sent.arrived == 0 {
            return Err(failure.error);
        } else {
            let (error, arrived) = (failure.error, sent.arrived);
            tracing::info!(%error, arrived, "a part of the pending events was published; the rest is retried");
        }
        Ok(Arrivals { arrived: pending, more: true })
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
        self.erasing = None;
        if let Some(writer) = &mut self.writer {
            writer.forget_end();
        }
    }
}

/// Keeps the events before the first `user.deleted`; if that is the first of all, the events before the second one. Returns whether any
/// were cut off. *Why*: the user is erased from the stream before `user.deleted` is published, and other events need not wait for that.
fn split_at_user_deleted(pending: &mut Vec<PendingEvent>) -> bool {
    let next = pending.iter().skip(1).position(PendingEvent::is_user_deleted);
    pending.truncate(next.map_or(usize::MAX, |after_first| after_first + 1));
    next.is_some()
}
