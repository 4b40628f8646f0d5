//! The message relay: publishes the outbox to NATS and to the event bus while this node is the leader.
//!
//! While the positions of one page of events are written, the next page is sent. So what a pass sends gets its positions in the next pass.

use faceofmind_base::Clock;
use faceofmind_db::{Database, StoreError};
use faceofmind_model::event::PublishedEvent;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Deps, EventBus, OutboxError, Settings,
    leadership::Leadership,
    store::pending::PendingRow,
    stream::StreamWriter,
    stream_sender::{Sent, StreamSender},
};
use crate::{DependencyError, nats::ConnectionState};

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
    pub(super) leadership: Leadership,
    pub(super) sender: StreamSender,
    /// What the last pass has sent, in the stream's order. It has no positions yet.
    arrived: Vec<PendingRow>,
}

impl Relay {
    pub(super) fn new(settings: Settings, deps: Deps, holder: String) -> Self {
        let Deps { db, bus, nats, clock, .. } = deps;
        let writer = nats.map(|nats| StreamWriter::new(nats, settings.stream));
        Self {
            settings,
            leadership: Leadership::new(db.clone(), clock.clone(), holder, settings.lease),
            sender: StreamSender::new(db.clone(), &settings, writer),
            arrived: Vec::new(),
            db,
            clock,
            bus,
        }
    }

    pub(super) fn connection(&self) -> Option<&ConnectionState> {
        self.sender.writer.as_ref().map(StreamWriter::connection)
    }

    /// Publishes what the last pass has sent, and sends a page of pending events, if this node is the leader.
    ///
    /// # Errors
    /// The database or NATS failed. No event is lost or published twice: the next pass reads from the stream what has arrived.
    pub(super) async fn run_pass(&mut self) -> Result<PassOutcome, OutboxError> {
        self.bus.init().await?;
        let role = self.role().await?;
        let (published, sent) = if role == Role::Leader {
            self.find_end().await?;
            self.assign_and_send().await?
        } else {
            (Vec::new(), Ok(Sent::default()))
        };
        let sent = sent.map(|Sent { arrived, more }| {
            self.arrived = arrived;
            more
        });
        let (count, last_position) = (published.len(), published.last().map(|event| event.position));
        // What was only sent goes on the bus with the next pass.
        if count > 0 || self.arrived.is_empty() {
            self.bus.publish(published).await?;
        }
        let more = sent? || !self.arrived.is_empty();
        Ok(PassOutcome { role, published: count, last_position, more })
    }

    /// Puts on this node's bus what the leader has published.
    pub(super) async fn catch_up(&mut self) -> Result<PassOutcome, OutboxError> {
        self.bus.init().await?;
        self.bus.catch_up().await?;
        Ok(PassOutcome { role: Role::Follower, published: 0, last_position: None, more: false })
    }

    /// Publishes all pending events, if this node is the leader, and releases the lease also after a failure. An erasure that has not ended is
    /// left to the next leader.
    pub(super) async fn shut_down(&mut self) -> Result<(), OutboxError> {
        let published = loop {
            match self.run_pass().await {
                Ok(outcome) if outcome.more => {}
                other => break other.map(drop),
            }
        };
        let released = self.leadership.release().await;
        published.and(released.map_err(OutboxError::from))
    }

    async fn role(&mut self) -> Result<Role, StoreError> {
        if self.connection().is_some_and(|connection| !connection.is_connected()) {
            self.leadership.release().await?;
            return Ok(Role::Disconnected);
        }
        Ok(if self.ensure_leadership().await? { Role::Leader } else { Role::Follower })
    }

    /// Acquires or renews the lease.
    async fn ensure_leadership(&mut self) -> Result<bool, StoreError> {
        let led = self.leadership.is_held();
        let leads = self.leadership.ensure().await?;
        if leads && !led {
            self.forget_end();
        }
        Ok(leads)
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

    /// Where the stream's end is not known: reads it, publishes again what the stream has lost, and finds what has arrived.
    async fn find_end(&mut self) -> Result<(), OutboxError> {
        let Some(writer) = &mut self.sender.writer else { return Ok(()) };
        if writer.knows_end().await {
            return Ok(());
        }
        self.forget_end();
        let found = self.read_and_refill().await;
        if found.is_err() {
            self.forget_end();
        }
        found
    }

    async fn read_and_refill(&mut self) -> Result<(), OutboxError> {
        let Some(writer) = &mut self.sender.writer else { return Ok(()) };
        let tail = writer.sync().await?;
        let end = self.read_end(tail).await?;
        self.refill(&end).await?;
        if !end.arrived.is_empty() {
            tracing::info!(rows = end.arrived.len(), "events found in the stream whose acknowledgements were lost");
        }
        (self.arrived, self.sender.partial_rows) = (end.arrived, end.partial_rows);
        Ok(())
    }

    /// Writes the positions of what has arrived, and meanwhile sends what is pending. What was published goes on the bus, also where sending failed.
    async fn assign_and_send(&mut self) -> Result<(Vec<PublishedEvent>, Result<Sent, OutboxError>), OutboxError> {
        let Some(until) = self.leadership.until else {
            return Ok((Vec::new(), Ok(Sent::default())));
        };
        let arrived = std::mem::take(&mut self.arrived);
        let rows: Vec<i64> = arrived.iter().map(|row| row.seq).collect();
        let (published, sent) =
            tokio::join!(self.leadership.assign_positions(arrived), self.sender.send_page(&rows, until));
        if published.is_err() || !self.leadership.is_held() {
            self.forget_end();
        }
        Ok((published?, sent))
    }

    fn forget_end(&mut self) {
        self.arrived.clear();
        self.sender.forget_end();
    }
}
