//! The message relay: carries the outbox to NATS and to the in-process bus, as long as this node leads.

use std::pin::pin;

use faceofmind_base::Clock;
use faceofmind_db::{Database, lease};
use faceofmind_runtime::legacy::Failure;
use serde::Serialize;
use tokio::time::Instant;

use super::{
    Settings,
    bus::Bus,
    store::{self, Backlog, Unpublished},
    stream::{Chain, Tail},
};
use faceofmind_model::{event::PublishedEvent, user::UserId};

const LEASE: &str = "publisher";

/// What this node does for the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Part {
    /// Publishes.
    Leads,
    /// Another node publishes.
    Follows,
    /// Has no connection to NATS, and leaves publishing to those that have.
    CutOff,
}

/// What a round came to.
pub(super) struct Round {
    pub(super) part: Part,
    /// How many events it published.
    pub(super) published: usize,
    /// The last of their positions.
    pub(super) position: Option<i64>,
    /// Whether there is work left that can be done at once.
    pub(super) more: bool,
    /// What waits, when it was time to count.
    pub(super) backlog: Option<Backlog>,
}

pub(super) struct Relay {
    pub(super) settings: Settings,
    pub(super) db: Database,
    pub(super) clock: Clock,
    pub(super) chain: Option<Chain>,
    pub(super) bus: Bus,
    /// Who this node is to the others.
    pub(super) holder: String,
    /// Until when this node leads, if it does.
    pub(super) leads_until: Option<Instant>,
    pub(super) swept: Option<Instant>,
    pub(super) counted: Option<Instant>,
}

/// What has arrived in the stream, in its order, and whether to look again at once.
struct Delivery {
    arrived: Vec<Unpublished>,
    more: bool,
}

impl Relay {
    /// Publishes a window of what waits, if this node leads.
    ///
    /// # Errors
    /// When the database or NATS fails. Nothing is lost then, and nothing published twice: the next round finds out how far this one
    /// came.
    pub(super) async fn round(&mut self) -> Result<Round, Failure> {
        self.bus.begin(&self.db).await?;
        let part = self.part().await?;
        let mut round = Round { part, published: 0, position: None, more: false, backlog: None };
        let mut published = Vec::new();
        if part == Part::Leads {
            let waiting = store::unpublished(&self.db, self.settings.stream.window).await?;
            let delivery = self.deliver(waiting).await?;
            round.more = delivery.more;
            published = self.mark(delivery.arrived).await?;
            self.sweep_when_due().await?;
        }
        round.published = published.len();
        round.position = published.last().map(|event| event.position);
        self.bus.carry(&self.db, published).await?;
        round.backlog = self.count_when_due().await?;
        Ok(round)
    }

    /// Puts on this node's bus what the node that leads has published.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn catch_up(&mut self) -> Result<Round, Failure> {
        self.bus.begin(&self.db).await?;
        self.bus.carry(&self.db, Vec::new()).await?;
        Ok(Round { part: Part::Follows, published: 0, position: None, more: false, backlog: None })
    }

    /// Gives the lease back, so that another node may lead at once.
    ///
    /// # Errors
    /// [`Failure::Store`]; it then runs out by itself.
    pub(super) async fn step_down(&mut self) -> Result<(), Failure> {
        if self.leads_until.take().is_some() {
            lease::release(&self.db, LEASE, &self.holder).await?;
            tracing::info!("gave up the lead of publishing");
        }
        Ok(())
    }

    async fn part(&mut self) -> Result<Part, Failure> {
        if self.chain.as_ref().is_some_and(|chain| !chain.link().is_up()) {
            self.step_down().await?;
            return Ok(Part::CutOff);
        }
        Ok(if self.lead().await? { Part::Leads } else { Part::Follows })
    }

    /// Takes the lease, or renews it when a quarter of it has passed.
    async fn lead(&mut self) -> Result<bool, Failure> {
        let (now, length) = (Instant::now(), self.lease_length());
        if self.leads_until.is_some_and(|until| until > now + length * 3 / 4) {
            return Ok(true);
        }
        let led = self.leads_until.is_some_and(|until| until > now);
        let held = lease::acquire(&self.db, LEASE, &self.holder, self.clock.now(), length).await?;
        if held && !led {
            tracing::info!("took the lead of publishing");
            self.lose_step();
        }
        if led && !held {
            tracing::warn!("lost the lead of publishing");
        }
        self.leads_until = held.then_some(now + length);
        Ok(held)
    }

    /// A file has one process, which need not write to it every second to stay its leader.
    fn lease_length(&self) -> std::time::Duration {
        match &self.db {
            Database::Postgres(_) => self.settings.lease,
            Database::Sqlite(..) => self.settings.lease.max(std::time::Duration::from_secs(3600)),
        }
    }

    async fn deliver(&mut self, mut waiting: Vec<Unpublished>) -> Result<Delivery, Failure> {
        let full = waiting.len() == self.settings.stream.window;
        if self.chain.is_none() {
            return Ok(Delivery { arrived: waiting, more: full });
        }
        let arrived = self.get_in_step(&waiting).await?;
        if !arrived.is_empty() {
            tracing::info!(events = arrived.len(), "found events in the stream whose acknowledgement was lost");
            return Ok(Delivery { arrived, more: true });
        }
        let cut = cut_before_a_farewell(&mut waiting);
        if let Some(farewell) = waiting.first().filter(|event| event.is_farewell()) {
            self.erase(farewell.user_id).await?;
        }
        self.publish(waiting, full || cut).await
    }

    /// Finds the stream's end where it is not known, and with it what has arrived unmarked.
    async fn get_in_step(&mut self, waiting: &[Unpublished]) -> Result<Vec<Unpublished>, Failure> {
        match &mut self.chain {
            Some(chain) if !chain.is_in_step() => {
                let tail = chain.get_in_step().await?;
                if waiting.is_empty() { Ok(Vec::new()) } else { self.arrived(tail).await }
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Takes a user out of the stream, however long it takes, and stays the leader meanwhile.
    async fn erase(&mut self, user: UserId) -> Result<(), Failure> {
        let Some(chain) = &self.chain else { return Ok(()) };
        let mut erasing = pin!(chain.erase(user));
        loop {
            tokio::select! {
                erased = &mut erasing => {
                    tracing::info!(events = erased?, "took a deleted user out of the stream");
                    return Ok(());
                }
                () = tokio::time::sleep(self.settings.lease / 4) => { self.lead().await?; }
            }
        }
    }

    async fn publish(&mut self, mut waiting: Vec<Unpublished>, more: bool) -> Result<Delivery, Failure> {
        let (Some(chain), Some(until)) = (&mut self.chain, self.leads_until) else { return Ok(Delivery::none()) };
        let sent = chain.publish(&waiting, until).await;
        waiting.truncate(sent.arrived);
        match sent.outcome {
            Err(failure) if sent.arrived == 0 => Err(failure),
            Err(failure) => {
                tracing::info!(%failure, arrived = sent.arrived, "a window was cut short");
                Ok(Delivery { arrived: waiting, more: true })
            }
            Ok(()) => Ok(Delivery { arrived: waiting, more }),
        }
    }

    /// What the stream shows to have arrived, though it is not marked. Reads back until a whole step shows nothing: marks are made
    /// in the stream's order, a window at a time.
    async fn arrived(&self, mut tail: Tail) -> Result<Vec<Unpublished>, Failure> {
        let mut arrived = Vec::new();
        loop {
            let ids = tail.back(self.settings.stream.window).await?;
            let mut unmarked =
                if ids.is_empty() { Vec::new() } else { store::unpublished_among(&self.db, &ids).await? };
            if unmarked.is_empty() {
                return Ok(arrived);
            }
            unmarked.sort_by_key(|event| ids.iter().position(|id| *id == event.id));
            arrived.splice(0..0, unmarked);
        }
    }

    async fn mark(&mut self, arrived: Vec<Unpublished>) -> Result<Vec<PublishedEvent>, Failure> {
        if arrived.is_empty() {
            return Ok(Vec::new());
        }
        let marked = self.mark_as_leader(arrived).await;
        if marked.is_err() || self.leads_until.is_none() {
            self.lose_step();
        }
        marked
    }

    /// Marks in one transaction with the lease. If it was lost, the new leader finds in the stream what has arrived.
    async fn mark_as_leader(&mut self, arrived: Vec<Unpublished>) -> Result<Vec<PublishedEvent>, Failure> {
        let (began, now, length) = (Instant::now(), self.clock.now(), self.lease_length());
        let mut tx = self.db.begin().await?;
        if !lease::acquire_in_tx(&mut tx, LEASE, &self.holder, now, length).await? {
            tracing::warn!("lost the lead of publishing");
            self.leads_until = None;
            tx.rollback().await?;
            return Ok(Vec::new());
        }
        let published = store::mark(&mut tx, arrived, now).await?;
        tx.commit().await?;
        self.leads_until = Some(began + length);
        Ok(published)
    }

    fn lose_step(&mut self) {
        if let Some(chain) = &mut self.chain {
            chain.lose_step();
        }
    }

    async fn sweep_when_due(&mut self) -> Result<(), Failure> {
        if is_due(&mut self.swept, self.settings.sweep_every) {
            let removed = store::sweep(&self.db, self.clock.now() - self.settings.retention).await?;
            tracing::debug!(removed, "swept the outbox");
        }
        Ok(())
    }

    async fn count_when_due(&mut self) -> Result<Option<Backlog>, Failure> {
        Ok(if is_due(&mut self.counted, self.settings.poll) { Some(store::backlog(&self.db).await?) } else { None })
    }
}

impl Delivery {
    fn none() -> Self {
        Self { arrived: Vec::new(), more: false }
    }
}

/// Leaves what comes before the next `user.deleted`, or from it to the one after: before it its user is taken out of the
/// stream, and what comes earlier need not wait for that. Says whether anything was left out.
fn cut_before_a_farewell(waiting: &mut Vec<Unpublished>) -> bool {
    let next = waiting.iter().skip(1).position(Unpublished::is_farewell);
    waiting.truncate(next.map_or(usize::MAX, |after_first| after_first + 1));
    next.is_some()
}

/// Whether `every` has passed since it last was; it then counts as done.
fn is_due(last: &mut Option<Instant>, every: std::time::Duration) -> bool {
    let now = Instant::now();
    let due = last.is_none_or(|last| now - last >= every);
    if due {
        *last = Some(now);
    }
    due
}
