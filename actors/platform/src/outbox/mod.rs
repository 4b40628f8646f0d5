//! The outbox and the one who carries it: every event is written with the change it tells of, published in order, and never twice.
//!
//! A room records what it did in its own transaction, commits, and wakes the publisher:
//!
//! ```text
//! let event = SessionEvent::Ended { user_id, session_id, end_time };
//! outbox::record(&mut tx, &event.into_cloud_event(context, now, &rng)).await?;
//! tx.commit().await?;
//! publisher.wake();
//! ```
//!
//! One node leads, by the lease `publisher`. It sends what is unpublished to JetStream, marks what was acknowledged with its position,
//! and puts it on the in-process bus; the other nodes read the positions and fill their own. They nudge one another over NATS, and look
//! by themselves every second.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use faceofmind_base::{Backoff, Clock, Rng};
use faceofmind_db::Database;
use faceofmind_runtime::ChildSpec;
use faceofmind_runtime::legacy::{Address, Failure};
use serde_json::Value;
use tokio::sync::broadcast;

use faceofmind_model::event::PublishedEvent;

use crate::nats::{Link, Nats};

mod bus;
mod carrier;
mod feed;
mod nudge;
mod relay;
mod seats;
mod store;
mod stream;
mod subjects;
mod tail;

use bus::Bus;
use carrier::{Carrier, Message};
pub use feed::{Feed, FeedError, Told};
use relay::Relay;
use seats::Seats;
pub use store::{erase, record, record_many, sweep};
use stream::Chain;
pub use stream::{NAME as STREAM, StreamSettings};
pub use subjects::Subjects;
pub use tail::Tail;

/// How the outbox is carried.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The stream, and how it is written.
    pub stream: StreamSettings,
    /// How often to look without having been woken, as for what other nodes recorded.
    pub poll: Duration,
    /// How long a leader may be silent before another takes over, a `poll` later at most.
    pub lease: Duration,
    /// How long a published event stays in the outbox, for streams to resume from.
    pub retention: Duration,
    /// How often to remove those that have stayed longer.
    pub sweep_every: Duration,
    /// How many events a subscriber of the bus may lag behind before it misses some.
    pub bus_capacity: usize,
    /// How many feeds this node gives at a time.
    pub feeds: usize,
    /// How many of them one user may have.
    pub feeds_of_one: usize,
    /// How long to rest after a failure.
    pub backoff: Backoff,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            stream: StreamSettings::default(),
            poll: Duration::from_secs(1),
            lease: Duration::from_secs(3),
            retention: Duration::from_secs(24 * 3600),
            sweep_every: Duration::from_secs(60),
            bus_capacity: 1024,
            feeds: 1000,
            feeds_of_one: 8,
            backoff: Backoff { initial: Duration::from_millis(50), max: Duration::from_secs(5) },
        }
    }
}

/// Where the publisher is woken and listened to.
#[derive(Clone, Debug)]
pub struct Publisher {
    address: Address<Message>,
    db: Database,
    bus: Bus,
    seats: Seats,
    link: Option<Link>,
    signals: Arc<Signals>,
}

/// What passes between the handle and its actor without a letter.
#[derive(Debug, Default)]
struct Signals {
    woken: AtomicBool,
    failing: AtomicBool,
    starts: AtomicU64,
}

impl Publisher {
    /// A publisher of what is recorded in `db`: to JetStream where a connection to NATS is given, and always to the bus.
    pub fn new(settings: Settings, db: Database, nats: Option<Nats>, clock: Clock, rng: Rng) -> (Self, ChildSpec) {
        let publisher = Self {
            address: Address::new("publisher", 64, Duration::from_secs(5)),
            db: db.clone(),
            bus: Bus::new(settings.bus_capacity),
            seats: Seats::new(settings.feeds, settings.feeds_of_one),
            link: nats.as_ref().map(|nats| nats.link().clone()),
            signals: Arc::default(),
        };
        // A file has one process: after a crash it is itself that holds the lease.
        let holder = match &db {
            Database::Postgres(_) => rng.uuid_v7(clock.now()).to_string(),
            Database::Sqlite(..) => "this file's process".to_owned(),
        };
        let (handle, address) = (publisher.clone(), publisher.address.clone());
        let child = ChildSpec::legacy(address, move || {
            let relay = Relay {
                settings,
                db: db.clone(),
                clock: clock.clone(),
                chain: nats.clone().map(|nats| Chain::new(nats, settings.stream)),
                bus: handle.bus.clone(),
                holder: holder.clone(),
                leads_until: None,
                swept: None,
                counted: None,
            };
            let carrier = Carrier::new(handle.clone(), relay, nats.as_ref(), settings, rng.clone());
            std::future::ready(Ok(carrier))
        });
        (publisher, child)
    }

    /// Says that events were committed. Costs nothing when it has been said already.
    pub fn wake(&self) {
        if !self.signals.woken.swap(true, Ordering::AcqRel) {
            self.address.tell(Message::Wake);
        }
    }

    /// The in-process bus: every event that any node publishes from now on, in order. Some published shortly before may come as well.
    /// Who lags too far behind hears so from the receiver.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<PublishedEvent>> {
        self.bus.subscribe()
    }

    /// Whether what is recorded goes out: NATS is connected, if it is used, and the last attempt did not fail.
    pub fn is_up(&self) -> bool {
        self.link.as_ref().is_none_or(Link::is_up) && !self.signals.failing.load(Ordering::Relaxed)
    }

    /// What it does, what waits, what was last published, and why it fails if it does.
    ///
    /// # Errors
    /// When the actor is not running or does not answer in time.
    pub async fn observe(&self) -> Result<Value, Failure> {
        self.address.observe().await
    }
}

#[cfg(test)]
mod tests;
