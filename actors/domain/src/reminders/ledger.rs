//! What the actor does for people, each piece one transaction.

use faceofmind_base::{Clock, Rng};
use faceofmind_db::{Database, Tx};
use faceofmind_runtime::legacy::Failure;
use jiff::tz::TimeZone;

use super::{
    Created, MOST, Neighbours, NewReminder, Reminder, ReminderChange, ReminderError, ReminderId,
    due::Trap,
    reminder::{to_be_told, zone_of},
    store::{self, schedule},
};
use crate::accounts;
use faceofmind_model::user::UserId;
use faceofmind_platform::idempotency;
use faceofmind_platform::idempotency::{Answer, Once};

/// What the work is done with. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    pub(super) db: Database,
    pub(super) neighbours: Neighbours,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
    pub(super) trap: Trap,
}

impl Ledger {
    pub(super) async fn create(&self, user: UserId, new: NewReminder, key: Option<idempotency::Key>) -> Created {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        tx.lock(&format!("reminders of {user}")).await?;
        let zone = self.zone_of(&mut tx, user).await?;
        if let Some(key) = &key {
            let claim = idempotency::claim(&mut tx, &self.neighbours.keyring, key, now).await?;
            if let Some(answer) = claim.earlier(ReminderError::KeyReused)? {
                return Ok(Once::Again(answer));
            }
        }
        if store::count(&mut tx, user).await? >= MOST {
            return Err(ReminderError::TooMany);
        }
        let reminder = store::insert(&mut tx, user, &new, now).await?;
        self.schedule(&mut tx, &reminder, &zone).await?;
        if let Some(key) = &key {
            let answer = Answer::of(201, &reminder)?;
            idempotency::settle(&mut tx, &self.neighbours.keyring, key, &answer).await?;
        }
        tx.commit().await?;
        Ok(Once::Now(reminder))
    }

    pub(super) async fn change(
        &self,
        user: UserId,
        id: ReminderId,
        change: ReminderChange,
    ) -> Result<Reminder, ReminderError> {
        let mut tx = self.db.begin().await?;
        let zone = self.zone_of(&mut tx, user).await?;
        let mut reminder = store::lock(&mut tx, user, id).await?.ok_or(ReminderError::NotFound)?;
        let before = reminder.clone();
        reminder.apply(change);
        if reminder != before {
            store::save(&mut tx, &reminder).await?;
        }
        if reminder.is_moved(&before) {
            self.schedule(&mut tx, &reminder, &zone).await?;
        }
        tx.commit().await?;
        Ok(reminder)
    }

    pub(super) async fn delete(&self, user: UserId, id: ReminderId) -> Result<(), ReminderError> {
        let mut tx = self.db.begin().await?;
        self.zone_of(&mut tx, user).await?;
        store::lock(&mut tx, user, id).await?.ok_or(ReminderError::NotFound)?;
        store::delete(&mut tx, id).await?;
        Ok(tx.commit().await?)
    }

    pub(super) async fn get(&self, user: UserId, id: ReminderId) -> Result<Reminder, ReminderError> {
        let found = store::get(self.db.read_conn().await?.connection(), user, id).await?;
        found.ok_or(ReminderError::NotFound)
    }

    pub(super) async fn list(&self, user: UserId, skip: u32, limit: u32) -> Result<Vec<Reminder>, Failure> {
        store::list(self.db.read_conn().await?.connection(), user, skip, limit).await
    }

    pub(super) async fn told(&self, id: ReminderId) -> Result<Option<Reminder>, Failure> {
        schedule::told(self.db.read_conn().await?.connection(), id).await
    }

    /// Where the user is, until the transaction ends; holds the user against whoever would change or remove them.
    async fn zone_of(&self, tx: &mut Tx, user: UserId) -> Result<TimeZone, ReminderError> {
        let mut zones = accounts::lock_and_get_time_zones(tx, [user]).await?;
        let set = zones.remove(&user).ok_or(ReminderError::NotFound)?;
        Ok(zone_of(set.as_deref(), &self.neighbours.time_zone))
    }

    async fn schedule(&self, tx: &mut Tx, reminder: &Reminder, zone: &TimeZone) -> Result<(), Failure> {
        let due_at = to_be_told(reminder.reminder_time, reminder.is_active, zone, self.clock.now());
        schedule::set(tx, reminder.id, due_at).await
    }
}
