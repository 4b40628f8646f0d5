//! The event bus: published events of all nodes, inside this process, in the order of their positions.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use faceofmind_db::{Database, StoreError};
use faceofmind_model::event::PublishedEvent;
use faceofmind_runtime::ConcurrencyLimit;
use tokio::sync::broadcast;

use super::{Settings, store::published};

/// Events read from the outbox at once.
pub(super) const PAGE: usize = 256;
/// The bus does not know yet where it starts. Positions are 0 or greater.
const UNINITIALIZED: i64 = -1;

/// The event bus. Clones share it. It outlives the publisher, so that subscribers do not notice a restart.
#[derive(Clone, Debug)]
pub struct EventBus {
    pub(super) db: Database,
    pub(super) limit: ConcurrencyLimit,
    sender: broadcast::Sender<Arc<PublishedEvent>>,
    position: Arc<AtomicI64>,
}

impl EventBus {
    pub fn new(settings: &Settings, db: Database) -> Self {
        Self {
            db,
            limit: ConcurrencyLimit::new("event streams", settings.max_feeds, settings.max_feeds_per_user),
            sender: broadcast::Sender::new(settings.bus_capacity),
            position: Arc::new(AtomicI64::new(UNINITIALIZED)),
        }
    }

    /// Subscribes to the events that any node publishes from now on. Some that were published shortly before may come too. A subscriber that
    /// lags too far behind gets an error from the receiver. [`EventBus::feed`] gives events without gaps.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<PublishedEvent>> {
        self.sender.subscribe()
    }

    /// The number of feeds that are open.
    pub fn open_feeds(&self) -> usize {
        self.limit.taken()
    }

    pub(super) fn subscribers(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Sets, once, the position after which the bus starts. Called before anything is published, and by a subscriber before it reads the
    /// outbox, so that what it does not read there comes over the bus.
    pub(super) async fn init(&self) -> Result<(), StoreError> {
        if self.position() == UNINITIALIZED {
            let last = published::last_position(&self.db).await?;
            let _set_by_another =
                self.position.compare_exchange(UNINITIALIZED, last, Ordering::Relaxed, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Publishes these events to the subscribers, after those that other nodes have published meanwhile.
    pub(super) async fn publish(&self, events: Vec<PublishedEvent>) -> Result<(), StoreError> {
        match events.first() {
            Some(next) if next.position == self.position() + 1 => {
                self.send(events);
                Ok(())
            }
            _ => self.catch_up().await,
        }
    }

    /// Publishes to the subscribers what the outbox holds after the bus's position.
    pub(super) async fn catch_up(&self) -> Result<(), StoreError> {
        if self.subscribers() == 0 {
            let last = published::last_position(&self.db).await?;
            // A subscriber that came meanwhile may have read the outbox before `last`.
            if self.subscribers() == 0 {
                self.position.store(last, Ordering::Relaxed);
                return Ok(());
            }
        }
        loop {
            let page = published::after(&self.db, self.position(), None, PAGE).await?;
            self.send(page.events);
            self.position.store(page.last, Ordering::Relaxed);
            if !page.more {
                return Ok(());
            }
        }
    }

    fn position(&self) -> i64 {
        self.position.load(Ordering::Relaxed)
    }

    fn send(&self, events: Vec<PublishedEvent>) {
        for event in events {
            self.position.store(event.position, Ordering::Relaxed);
            drop(self.sender.send(Arc::new(event)));
        }
    }
}
