//! Takes up reminders that another program wrote: they stand without a schedule.

use std::time::Duration;

use faceofmind_runtime::legacy::Failure;

use super::{
    ReminderId,
    ledger::Ledger,
    reminder::{to_be_told, zone_of},
    store::schedule::{self, DueAt, Unseen},
};
use crate::accounts;

const EVERY: Duration = Duration::from_secs(3600);

/// Adopts at once, and every now and then.
pub(super) async fn adopt(ledger: Ledger) {
    loop {
        if let Err(failure) = ledger.adopt().await {
            tracing::warn!(%failure, "reminders without a schedule were not taken up");
        }
        tokio::time::sleep(ledger.rng.jitter(EVERY)).await;
    }
}

impl Ledger {
    /// Page by page, each in a transaction of its own, so that nobody waits long.
    async fn adopt(&self) -> Result<(), Failure> {
        let mut last = ReminderId(0);
        loop {
            let page = schedule::unseen(self.db.read_conn().await?.connection(), last).await?;
            let Some(end) = page.last() else { return Ok(()) };
            last = end.id;
            self.adopt_page(&page).await?;
        }
    }

    async fn adopt_page(&self, page: &[Unseen]) -> Result<(), Failure> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let zones = accounts::lock_and_get_time_zones(&mut tx, page.iter().map(|unseen| unseen.user_id)).await?;
        let schedule = |unseen: &Unseen| -> Option<DueAt> {
            let zone = zone_of(zones.get(&unseen.user_id)?.as_deref(), &self.neighbours.time_zone);
            Some((unseen.id, to_be_told(unseen.reminder_time, unseen.is_active, &zone, now)))
        };
        let seen: Vec<DueAt> = page.iter().filter_map(schedule).collect();
        schedule::add(&mut tx, &seen).await?;
        Ok(tx.commit().await?)
    }
}
