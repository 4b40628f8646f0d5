//! Schedules reminders that another program wrote. They have no row in `reminder_schedules`.

use faceofmind_model::ReminderId;

use super::{
    ReminderError,
    reminder::{next_due_at, zone_or},
    service::ReminderService,
    store::schedule::{self, DueAt, Unscheduled},
};
use crate::accounts;

impl ReminderService {
    /// Goes page by page, each in a transaction of its own, so that other writers do not wait long.
    pub(super) async fn backfill(&self) -> Result<(), ReminderError> {
        let mut last = ReminderId(0);
        loop {
            let page = schedule::unscheduled(self.deps.db.read_conn().await?.connection(), last).await?;
            let Some(end) = page.last() else { return Ok(()) };
            last = end.id;
            self.backfill_page(&page).await?;
        }
    }

    async fn backfill_page(&self, page: &[Unscheduled]) -> Result<(), ReminderError> {
        let now = self.deps.clock.now();
        let mut tx = self.deps.db.begin().await?;
        let zones = accounts::lock_and_get_time_zones(&mut tx, page.iter().map(|row| row.user_id)).await?;
        let schedule = |row: &Unscheduled| -> Option<DueAt> {
            let zone = zone_or(zones.get(&row.user_id)?.as_deref(), &self.deps.time_zone);
            Some((row.id, next_due_at(row.reminder_time, row.is_active, &zone, now)))
        };
        let scheduled: Vec<DueAt> = page.iter().filter_map(schedule).collect();
        schedule::add(&mut tx, &scheduled).await?;
        Ok(tx.commit().await?)
    }
}
