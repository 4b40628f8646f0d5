//! The dispatch of due reminders.
//!
//! A pass takes up to [`MAX_PER_PASS`] of them. For each it records an event, queues a mail and marks the reminder as sent, all in one
//! transaction. When the database rejects that, each gets a transaction of its own, so that a bad row fails alone.

use std::{ops::AddAssign, sync::PoisonError, time::Duration};

use faceofmind_base::Timestamp;
use faceofmind_db::Tx;
use faceofmind_model::{
    MailReason, ReminderId,
    event::{DomainEvent, EventContext, Initiator, ReminderEvent},
};
use faceofmind_platform::{
    mail::{self, Cause, Poll},
    outbox::{self, Wake},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    ReminderError,
    service::ReminderService,
    store::schedule::{self, Due},
};
use crate::accounts;

/// Bounds how long other writers wait for a pass.
pub(super) const MAX_PER_PASS: usize = 128;

/// A reminder that has been due for longer is skipped.
const MAX_LATENESS: Duration = Duration::from_secs(24 * 3600);

/// What became of due reminders, since the program started.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub struct DispatchCounts {
    pub sent: u64,
    /// Too late, or of accounts that are not active.
    pub skipped: u64,
    /// Rejected by the database. They stay due and are tried again.
    pub failed: u64,
}

impl AddAssign for DispatchCounts {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.skipped += other.skipped;
        self.failed += other.failed;
    }
}

impl ReminderService {
    /// Dispatches all due reminders. A pass starts behind the last reminder of the pass before, so a reminder that fails is tried once.
    pub(super) async fn dispatch_due(&self) -> Result<(), ReminderError> {
        let mut last = None;
        loop {
            let now = self.deps.clock.now();
            if !schedule::is_any_due(&self.deps.db, now).await? {
                return Ok(());
            }
            let mut tx = self.deps.db.begin().await?;
            let due = schedule::lock_due(&mut tx, now, last, MAX_PER_PASS).await?;
            let counts = match self.dispatch(tx, &due, now).await {
                Err(ReminderError::Store(error)) if error.is_row_error() => {
                    self.dispatch_individually(&due, now).await?
                }
                outcome => outcome?,
            };
            *self.dispatched.lock().unwrap_or_else(PoisonError::into_inner) += counts;
            if due.len() < MAX_PER_PASS {
                return Ok(());
            }
            last = due.last().copied();
        }
    }

    async fn dispatch_individually(&self, due: &[Due], now: Timestamp) -> Result<DispatchCounts, ReminderError> {
        let mut counts = DispatchCounts::default();
        for &Due { id, .. } in due {
            match self.dispatch_one(id, now).await {
                Ok(one) => counts += one,
                Err(ReminderError::Store(error)) if error.is_row_error() => {
                    tracing::warn!(reminder = %id, %error, "failed to dispatch a reminder; it stays due and is tried again");
                    counts.failed += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(counts)
    }

    async fn dispatch_one(&self, id: ReminderId, now: Timestamp) -> Result<DispatchCounts, ReminderError> {
        let mut tx = self.deps.db.begin().await?;
        let due = schedule::lock_one_due(&mut tx, now, id).await?;
        self.dispatch(tx, due.as_slice(), now).await
    }

    /// Dispatches all of these or none, and commits.
    async fn dispatch(&self, mut tx: Tx, due: &[Due], now: Timestamp) -> Result<DispatchCounts, ReminderError> {
        let active = accounts::filter_active(&mut tx, due.iter().map(|due| due.user_id)).await?;
        let is_sent = |due: &Due| due.due_at >= now - MAX_LATENESS && active.contains(&due.user_id);
        let (sent, skipped): (Vec<_>, Vec<_>) = due.iter().copied().partition(is_sent);
        schedule::skip(&mut tx, &skipped).await?;
        self.send(&mut tx, &sent, now).await?;
        tx.commit().await?;
        self.deps.publisher.tell(Wake);
        self.deps.mailer.tell(Poll);
        Ok(DispatchCounts { sent: sent.len() as u64, skipped: skipped.len() as u64, failed: 0 })
    }

    async fn send(&self, tx: &mut Tx, sent: &[Due], now: Timestamp) -> Result<(), ReminderError> {
        schedule::mark_sent(tx, sent, now).await?;
        let (context, rng) = (EventContext::new(Initiator::System), &self.deps.rng);
        let event = |&Due { id, user_id, due_at }: &Due| ReminderEvent::Due { user_id, reminder_id: id, due_at };
        let events: Vec<_> = sent.iter().map(|due| event(due).into_cloud_event(&context, now, rng)).collect();
        outbox::record_many(tx, &events).await?;
        self.fail_point.pass(&(), sent.len());
        for due in sent {
            let reason = MailReason::Reminder { user: due.user_id, reminder: due.id };
            mail::enqueue(tx, rng.uuid_v7(now), &reason, Cause::default(), now).await?;
        }
        Ok(())
    }
}
