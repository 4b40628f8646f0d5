//! The actor: owns the publish loop, and shows its state.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use faceofmind_base::{Clock, Rng, Timestamp};
use faceofmind_db::Database;
use faceofmind_runtime::{Actor, ChildSpec, Handle, Handler, ReplyTo, TaskSet};
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
    store::Backlog,
};
use crate::nats::{ConnectionState, NatsConnection};

const NAME: &str = "publisher";
const CAPACITY: usize = 64;
const DEADLINE: Duration = Duration::from_secs(5);

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
    pub backlog: Backlog,
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
    /// Whether recorded events are published: NATS is connected, where it is used, and the last pass did not fail.
    pub fn is_up(&self) -> bool {
        self.connected != Some(false) && self.last_error.is_none()
    }
}

/// The actor.
pub struct Publisher {
    handle: Handle<Self>,
    bus: EventBus,
    connection: Option<ConnectionState>,
    wake: Arc<Notify>,
    stop: Arc<Notify>,
    status: Arc<Mutex<Status>>,
    publishing: TaskSet,
    /// Exchanges signals with the other nodes for as long as the actor lives.
    _signalling: TaskSet,
}

impl Publisher {
    /// Returns the handle, and the actor to supervise.
    pub fn new(settings: Settings, deps: Deps) -> (Handle<Self>, ChildSpec) {
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
        let mut actor = Self {
            handle,
            bus: deps.bus.clone(),
            connection: deps.nats.as_ref().map(|nats| nats.state().clone()),
            wake: Arc::default(),
            stop: Arc::default(),
            status: Arc::default(),
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
