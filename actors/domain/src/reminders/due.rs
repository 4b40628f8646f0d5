//! A round: what has become due is told, an event and the intent to mail for each, in one transaction with the note that it is; or, when
//! that fails, each in one of its own, so that a bad row fails alone.

use std::time::Duration;

use faceofmind_base::Timestamp;
use faceofmind_db::Tx;
use faceofmind_runtime::legacy::Failure;

use super::{
    ReminderId,
    ledger::Ledger,
    store::schedule::{self, Due},
};
use crate::accounts;
use faceofmind_model::MailReason;
use faceofmind_model::event::{DomainEvent, EventContext, Initiator, ReminderEvent};
use faceofmind_platform::{mail, outbox};

/// As many as one transaction tells of: others who write wait no longer than that takes.
pub(super) const AT_ONCE: usize = 128;

/// What became due longer ago is told no more: nobody wants last week's reminders after an outage.
const LATEST: Duration = Duration::from_secs(24 * 3600);

/// What a round came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Round {
    /// How many reminders it told of.
    pub(super) told: usize,
    /// How many it let pass: too late, or of accounts that are not active.
    pub(super) passed: usize,
    /// How many it could not tell of: left where they are, and tried again by the next look.
    pub(super) failed: usize,
    /// The last one it took, when more may be due behind that.
    pub(super) last: Option<Due>,
}

impl Ledger {
    /// From the first on, or behind the last one of the round before: so no look stumbles twice over what cannot be told.
    pub(super) async fn tell_what_is_due(&self, after: Option<Due>) -> Result<Round, Failure> {
        let now = self.clock.now();
        if !schedule::is_anything_due(&self.db, now).await? {
            return Ok(Round::default());
        }
        let mut tx = self.db.begin().await?;
        let due = schedule::take(&mut tx, now, after, AT_ONCE).await?;
        let round = match self.settle(tx, &due, now).await {
            Err(failure) if !failure.is_transient() => self.settle_singly(&due, now).await?,
            settled => settled?,
        };
        let last = due.last().copied().filter(|_| due.len() == AT_ONCE);
        Ok(Round { last, ..round })
    }

    async fn settle_singly(&self, due: &[Due], now: Timestamp) -> Result<Round, Failure> {
        let mut round = Round::default();
        for &Due { id, .. } in due {
            match self.settle_one(id, now).await {
                Ok(Round { told, passed, .. }) => {
                    round.told += told;
                    round.passed += passed;
                }
                Err(failure) if failure.is_transient() => return Err(failure),
                Err(failure) => {
                    tracing::warn!(reminder = %id, %failure, "a reminder cannot be told: to be tried again");
                    round.failed += 1;
                }
            }
        }
        Ok(round)
    }

    async fn settle_one(&self, id: ReminderId, now: Timestamp) -> Result<Round, Failure> {
        let mut tx = self.db.begin().await?;
        let due = schedule::take_one(&mut tx, now, id).await?;
        self.settle(tx, due.as_slice(), now).await
    }

    /// All of these, or none.
    async fn settle(&self, mut tx: Tx, due: &[Due], now: Timestamp) -> Result<Round, Failure> {
        let active = accounts::filter_active(&mut tx, due.iter().map(|due| due.user_id)).await?;
        let is_told = |due: &Due| due.due_at >= now - LATEST && active.contains(&due.user_id);
        let (told, passed): (Vec<_>, Vec<_>) = due.iter().copied().partition(is_told);
        schedule::pass_over(&mut tx, &passed).await?;
        self.tell(&mut tx, &told, now).await?;
        tx.commit().await?;
        self.neighbours.publisher.tell(outbox::Wake);
        self.neighbours.mailer.tell(mail::Poll);
        Ok(Round { told: told.len(), passed: passed.len(), ..Round::default() })
    }

    async fn tell(&self, tx: &mut Tx, told: &[Due], now: Timestamp) -> Result<(), Failure> {
        schedule::mark_told(tx, told, now).await?;
        let origin = EventContext::new(Initiator::System);
        let event = |&Due { id, user_id, due_at }: &Due| ReminderEvent::Due { user_id, reminder_id: id, due_at };
        let events: Vec<_> = told.iter().map(|due| event(due).into_cloud_event(&origin, now, &self.rng)).collect();
        outbox::record_many(tx, &events).await?;
        self.trap.step();
        for due in told {
            let occasion = MailReason::Reminder { user: due.user_id, reminder: due.id };
            mail::enqueue(tx, self.rng.uuid_v7(now), &occasion, "", now).await?;
        }
        Ok(())
    }
}

/// Where a test may let a round die: when its events are recorded and its intents are not. Elsewhere there is nothing here.
#[derive(Clone, Debug, Default)]
pub(super) struct Trap {
    #[cfg(test)]
    is_set: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Trap {
    #[cfg(test)]
    pub(super) fn set(&self) {
        self.is_set.store(true, std::sync::atomic::Ordering::SeqCst);
    }

    #[cfg(test)]
    fn step(&self) {
        let is_caught = self.is_set.swap(false, std::sync::atomic::Ordering::SeqCst);
        assert!(!is_caught, "a test asked for this panic in the middle of a round");
    }

    #[cfg(not(test))]
    fn step(&self) {}
}
