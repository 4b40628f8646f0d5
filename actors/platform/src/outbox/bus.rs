//! The in-process bus: what was published, on whichever node, in the order of its positions.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use faceofmind_db::Database;
use faceofmind_runtime::legacy::Failure;
use tokio::sync::broadcast;

use super::store;
use faceofmind_model::event::PublishedEvent;

/// Events read from the outbox at once.
const PAGE: usize = 256;
/// No position is below 0: nothing was carried yet.
const NOWHERE: i64 = -1;

/// The bus. Clones are the same; it outlives the actor, so that subscribers do not notice a restart.
#[derive(Clone, Debug)]
pub(super) struct Bus {
    sender: broadcast::Sender<Arc<PublishedEvent>>,
    position: Arc<AtomicI64>,
}

impl Bus {
    pub(super) fn new(capacity: usize) -> Self {
        Self { sender: broadcast::Sender::new(capacity), position: Arc::new(AtomicI64::new(NOWHERE)) }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<PublishedEvent>> {
        self.sender.subscribe()
    }

    pub(super) fn subscribers(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Finds out, once, after which position this node begins to carry. To be called before anything is published, and by who subscribes
    /// before they read the outbox: all that it will not show them is then carried.
    pub(super) async fn begin(&self, db: &Database) -> Result<(), Failure> {
        if self.position() == NOWHERE {
            let last = store::last_position(db).await?;
            let _begun_by_another = self.position.compare_exchange(NOWHERE, last, Ordering::Relaxed, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Carries what this node has published, and first what other nodes have since it last looked.
    pub(super) async fn carry(&self, db: &Database, published: Vec<PublishedEvent>) -> Result<(), Failure> {
        match published.first() {
            Some(next) if next.position == self.position() + 1 => {
                self.send(published);
                Ok(())
            }
            _ => self.catch_up(db).await,
        }
    }

    async fn catch_up(&self, db: &Database) -> Result<(), Failure> {
        if self.subscribers() == 0 {
            let last = store::last_position(db).await?;
            // Who has subscribed meanwhile may have read the outbox before.
            if self.subscribers() == 0 {
                self.position.store(last, Ordering::Relaxed);
                return Ok(());
            }
        }
        while self.send(store::published_after(db, self.position(), None, PAGE).await?) == PAGE {}
        Ok(())
    }

    fn position(&self) -> i64 {
        self.position.load(Ordering::Relaxed)
    }

    fn send(&self, events: Vec<PublishedEvent>) -> usize {
        let count = events.len();
        for event in events {
            self.position.store(event.position, Ordering::Relaxed);
            drop(self.sender.send(Arc::new(event)));
        }
        count
    }
}
