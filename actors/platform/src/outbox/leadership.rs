//! The lease of the node that publishes, and what is written under it.

use std::time::Duration;

use faceofmind_base::Clock;
use faceofmind_db::{Database, StoreError, lease};
use faceofmind_model::event::PublishedEvent;
use tokio::time::Instant;

use super::store::pending::{self, PendingRow};

/// Earlier versions led by the lease `publisher`. They cannot read rows of several events, and the database gives them that lease no more.
pub(super) const LEASE: &str = "event publisher";
/// The shortest lease on an SQLite file. The file has one process, which need not write every second to stay the leader.
const MIN_SQLITE_LEASE: Duration = Duration::from_secs(3600);

pub(super) struct Leadership {
    db: Database,
    clock: Clock,
    /// Identifies this node in the lease.
    holder: String,
    length: Duration,
    /// When the lease of this node expires. None while it is not the leader.
    pub(super) until: Option<Instant>,
}

impl Leadership {
    pub(super) fn new(db: Database, clock: Clock, holder: String, length: Duration) -> Self {
        let length = match &db {
            Database::Postgres(_) => length,
            Database::Sqlite(..) => length.max(MIN_SQLITE_LEASE),
        };
        Self { db, clock, holder, length, until: None }
    }

    /// Acquires the lease, or renews it when a quarter of it has passed. Returns whether this node leads.
    pub(super) async fn ensure(&mut self) -> Result<bool, StoreError> {
        let now = Instant::now();
        if self.until.is_some_and(|until| until > now + self.length * 3 / 4) {
            return Ok(true);
        }
        let held = lease::acquire(&self.db, LEASE, &self.holder, self.clock.now(), self.length).await?;
        match (self.is_held(), held) {
            (false, true) => tracing::info!("publisher lease acquired"),
            (true, false) => tracing::warn!("publisher lease lost to another node"),
            _ => {}
        }
        self.until = held.then_some(now + self.length);
        Ok(held)
    }

    /// Whether this node leads, as far as it knows.
    pub(super) fn is_held(&self) -> bool {
        self.until.is_some_and(|until| until > Instant::now())
    }

    /// Releases the lease, so that another node may lead at once. After a failure it expires by itself.
    pub(super) async fn release(&mut self) -> Result<(), StoreError> {
        if self.until.take().is_some() {
            lease::release(&self.db, LEASE, &self.holder).await?;
            tracing::info!("publisher lease released");
        }
        Ok(())
    }

    /// Assigns positions and renews the lease in one transaction. If the lease was lost, the new leader finds the events in the stream.
    pub(super) async fn assign_positions(
        &mut self,
        arrived: Vec<PendingRow>,
    ) -> Result<Vec<PublishedEvent>, StoreError> {
        if arrived.is_empty() {
            return Ok(Vec::new());
        }
        let (began, now) = (Instant::now(), self.clock.now());
        let mut tx = self.db.begin().await?;
        if !lease::acquire_in_tx(&mut tx, LEASE, &self.holder, now, self.length).await? {
            tracing::warn!("publisher lease lost to another node");
            self.until = None;
            tx.rollback().await?;
            return Ok(Vec::new());
        }
        let published = pending::assign_positions(&mut tx, arrived, now).await?;
        tx.commit().await?;
        self.until = Some(began + self.length);
        Ok(published)
    }
}
