//! The actor: owns the publish loop, and shows its state.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use faceofmind_base::{Clock, Rng, Timestamp};
use faceofmind_db::{Database, StoreError};
use faceofmind_runtime::{Actor, BackgroundTask, ChildSpec, Handle, Handler, ReplyTo, TaskSet};
use futures_util::FutureExt as _;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::Notify;

use super::{
    EventBus, Settings,
    messages::{LoopPanicked, Wake},
    peer_signal::PeerSignals,
    publish_loop::PublishLoop,
    relay::{Relay, Role},
    store::{
        self, Backlog,
        refill::{self, EventGap},
    },
};
use crate::nats::{ConnectionState, NatsConnection};

const NAME: &str = "publisher";
const CAPACITY: usize = 64;
const DEADLINE: Duration = Duration::from_secs(5);
/// An event that waits longer than this is not published: another node would have taken over within 5 seconds.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// What the publisher needs.
#[derive(Clone)]
pub struct Deps {
    pub db: Database,
    /// Receives every published event.
    pub bus: EventBus,
    /// Without NATS, events are published to the bus alone.
    pub nats: Option<NatsConnection>,
    pub clock: Clock,
    pub rng: Rng,
}

/// The actor's observable state.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Status {
    /// Null until the first pass has ended.
    pub role: Option<Role>,
    /// Whether NATS is connected. Null without NATS.
    pub connected: Option<bool>,
    /// Counted in the database, whichever node publishes.
    pub backlog: Backlog,
    /// Whether the oldest event has waited for longer than a leader's failure lasts.
    pub stalled: bool,
    /// What the stream has lost for good.
    pub gaps: Vec<EventGap>,
    /// Events that this node has published since the actor started.
    pub published: u64,
    pub last_published: Option<LastPublished>,
    /// Subscribers of this node's bus.
    pub subscribers: usize,
    /// Why the last pass failed. Null after a success.
    pub last_error: Option<String>,
}

/// The last event that this node published.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct LastPublished {
    pub position: i64,
    pub at: Timestamp,
}

impl Status {
    /// Whether recorded events are published: NATS is connected, where it is used, the last pass did not fail, and no event waits for long.
    pub fn is_up(&self) -> bool {
        self.connected != Some(false) && self.last_error.is_none() && !self.stalled
    }
}

pub struct Publisher {
    handle: Handle<Self>,
    bus: EventBus,
    connection: Option<ConnectionState>,
    wake: Arc<Notify>,
    stop: Arc<Notify>,
    status: Arc<Mutex<Status>>,
    publishing: TaskSet,
    _periodic: [BackgroundTask; 2],
    /// Exchanges signals with the other nodes for as long as the actor lives.
    _signalling: TaskSet,
}

impl Publisher {
    /// Returns the handle, and the actor to supervise.
    pub fn new(mut settings: Settings, deps: Deps) -> (Handle<Self>, ChildSpec) {
        if deps.nats.is_some() {
            // What the stream loses is published again from the outbox.
            settings.retention = settings.retention.max(settings.stream.max_age);
        }
        let handle = Handle::new(NAME, CAPACITY, DEADLINE);
        // An SQLite file has one process. The holder is constant, so that a restarted process renews its own lease at once.
        let holder = match &deps.db {
            Database::Postgres(_) => deps.rng.uuid_v7(deps.clock.now()).to_string(),
            Database::Sqlite(..) => "this file's process".to_owned(),
        };
        let own = handle.clone();
        let child =
            ChildSpec::ready(handle.clone(), move || Self::start(own.clone(), settings, deps.clone(), holder.clone()));
        (handle, child)
    }

    fn start(handle: Handle<Self>, settings: Settings, deps: Deps, holder: String) -> Self {
        let status = Arc::<Mutex<Status>>::default();
        let mut actor = Self {
            _periodic: periodic_tasks(settings, &deps, &status),
            handle,
            bus: deps.bus.clone(),
            connection: deps.nats.as_ref().map(|nats| nats.state().clone()),
            wake: Arc::default(),
            stop: Arc::default(),
            status,
            publishing: TaskSet::default(),
            _signalling: TaskSet::default(),
        };
        let signals = PeerSignals::start(deps.nats.as_ref(), &mut actor._signalling);
        let rng = deps.rng.clone();
        let relay = Relay::new(settings, deps, holder);
        let (wake, stop, status) = (Arc::clone(&actor.wake), Arc::clone(&actor.stop), Arc::clone(&actor.status));
        let publish_loop = PublishLoop::new(relay, signals, rng, wake, stop, status);
        let own = actor.handle.clone();
        actor.publishing.spawn(async move {
            if AssertUnwindSafe(publish_loop.run()).catch_unwind().await.is_err() {
                own.tell(LoopPanicked);
            }
        });
        actor
    }
}

impl Actor for Publisher {
    type Status = Status;

    fn status(&self) -> Status {
        Status {
            connected: self.connection.as_ref().map(ConnectionState::is_connected),
            subscribers: self.bus.subscribers(),
            ..self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }
    }

    /// Publishes what is pending, and releases the lease.
    async fn on_stop(&mut self) {
        self.stop.notify_one();
        self.publishing.join_all().await;
    }
}

impl Handler<Wake> for Publisher {
    fn handle(&mut self, _: Wake, _: ReplyTo<Wake>) {
        self.wake.notify_one();
    }
}

impl Handler<LoopPanicked> for Publisher {
    /// Ends the actor: the loop has lost what it knew of the stream, and a new actor reads it again.
    fn handle(&mut self, _: LoopPanicked, _: ReplyTo<LoopPanicked>) {
        panic!("the publish loop panicked");
    }
}

/// Starts to delete what has expired, and to count what waits. Every node does both, also while another one publishes.
fn periodic_tasks(settings: Settings, deps: &Deps, status: &Arc<Mutex<Status>>) -> [BackgroundTask; 2] {
    let time = || (deps.clock.clone(), deps.rng.clone());
    let context = (deps.db.clone(), deps.clock.clone());
    let sweep = move |(db, clock): (Database, Clock)| async move { sweep(&db, settings, clock.now()).await };
    let counted = (deps.db.clone(), deps.clock.clone(), Arc::clone(status));
    [
        BackgroundTask::spawn("outbox sweep", settings.sweep_interval, time(), context, sweep),
        BackgroundTask::spawn("outbox count", settings.poll_interval, time(), counted, count),
    ]
}

/// Deletes the events and the gaps that have expired. After a failure, those deleted so far stay deleted.
pub(super) async fn sweep(db: &Database, settings: Settings, now: Timestamp) -> Result<(), StoreError> {
    loop {
        let mut tx = db.begin().await?;
        let deleted = store::sweep(&mut tx, now - settings.retention).await?;
        refill::sweep_gaps(&mut tx, now - settings.stream.max_age).await?;
        tx.commit().await?;
        if deleted == 0 {
            return Ok(());
        }
    }
}

async fn count((db, clock, status): (Database, Clock, Arc<Mutex<Status>>)) -> Result<(), StoreError> {
    let (backlog, gaps) = (store::backlog(&db).await?, refill::gaps(&db).await?);
    let stalled = backlog.oldest.is_some_and(|oldest| clock.now().since(oldest) > MAX_WAIT);
    let mut status = status.lock().unwrap_or_else(PoisonError::into_inner);
    (status.backlog, status.stalled, status.gaps) = (backlog, stalled, gaps);
    Ok(())
}
