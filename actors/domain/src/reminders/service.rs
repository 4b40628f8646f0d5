//! What users do with their reminders. Each change is one transaction.

use std::sync::Mutex;

use faceofmind_db::{StoreError, Tx};
use faceofmind_model::{Page, ReminderId, UserId};
use faceofmind_platform::{
    Platform,
    idempotency::{self, StoredResponse},
};
use faceofmind_runtime::FailPoint;
use jiff::tz::TimeZone;

use super::{
    CreateReminder, DeleteReminder, FindSentReminder, GetReminder, ListReminders, MAX_REMINDERS, Reminder,
    ReminderError, UpdateReminder,
    dispatch::DispatchCounts,
    reminder::{day_in, eight_am, next_due_at, zone_or},
    store::{self, schedule},
};
use crate::accounts;

/// The use cases of reminders and their background work, with what they stand on.
pub struct ReminderService {
    pub(super) deps: Platform,
    pub(super) dispatched: Mutex<DispatchCounts>,
    /// Where a test makes a pass panic: after its events are recorded and before its mails are queued.
    pub(super) fail_point: FailPoint<()>,
}

impl ReminderService {
    pub(super) fn new(deps: Platform) -> Self {
        Self { deps, dispatched: Mutex::default(), fail_point: FailPoint::default() }
    }

    pub(super) async fn create(
        &self,
        CreateReminder { user, new, key, respond }: CreateReminder,
    ) -> Result<StoredResponse, ReminderError> {
        let Platform { db, keyring, clock, .. } = &self.deps;
        let now = clock.now();
        let mut tx = db.begin().await?;
        tx.lock(&format!("reminders of {user}")).await?;
        let zone = self.lock_and_get_zone(&mut tx, user).await?;
        if let Some(key) = &key {
            let claim = idempotency::claim(&mut tx, keyring, key, now).await?;
            if let Some(response) = claim.into_replay(ReminderError::KeyReused)? {
                return Ok(response);
            }
        }
        if store::count(&mut tx, user).await? >= MAX_REMINDERS {
            return Err(ReminderError::TooMany);
        }
        let reminder = store::insert(&mut tx, user, &new, now).await?;
        self.schedule(&mut tx, &reminder, &zone).await?;
        let response = respond(reminder);
        if let Some(key) = &key {
            idempotency::store_response(&mut tx, keyring, key, &response).await?;
        }
        tx.commit().await?;
        Ok(response)
    }

    pub(super) async fn update(
        &self,
        UpdateReminder { user, id, change }: UpdateReminder,
    ) -> Result<Reminder, ReminderError> {
        let mut tx = self.deps.db.begin().await?;
        let zone = self.lock_and_get_zone(&mut tx, user).await?;
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

    pub(super) async fn delete(&self, DeleteReminder { user, id }: DeleteReminder) -> Result<(), ReminderError> {
        let mut tx = self.deps.db.begin().await?;
        self.lock_and_get_zone(&mut tx, user).await?;
        store::lock(&mut tx, user, id).await?.ok_or(ReminderError::NotFound)?;
        store::delete(&mut tx, id).await?;
        Ok(tx.commit().await?)
    }

    pub(super) async fn get(&self, GetReminder { user, id }: GetReminder) -> Result<Reminder, ReminderError> {
        let reminder = store::get(self.deps.db.read_conn().await?.connection(), user, id).await?;
        reminder.ok_or(ReminderError::NotFound)
    }

    pub(super) async fn list(
        &self,
        ListReminders(page): ListReminders,
    ) -> Result<Page<Reminder, ReminderId>, ReminderError> {
        Ok(store::list(self.deps.db.read_conn().await?.connection(), page).await?)
    }

    pub(super) async fn find_sent(
        &self,
        FindSentReminder(id): FindSentReminder,
    ) -> Result<Option<Reminder>, ReminderError> {
        Ok(schedule::find_sent(self.deps.db.read_conn().await?.connection(), id).await?)
    }

    /// Locks the user against changes and deletion until the transaction ends, and returns the user's time zone.
    async fn lock_and_get_zone(&self, tx: &mut Tx, user: UserId) -> Result<TimeZone, ReminderError> {
        let mut zones = accounts::lock_and_get_time_zones(tx, [user]).await?;
        let set = zones.remove(&user).ok_or(ReminderError::NotFound)?;
        Ok(zone_or(set.as_deref(), &self.deps.time_zone))
    }

    async fn schedule(&self, tx: &mut Tx, reminder: &Reminder, zone: &TimeZone) -> Result<(), StoreError> {
        let now = self.deps.clock.now();
        let due_at = next_due_at(reminder.reminder_time, reminder.is_active, zone, now);
        let last_sent_at = schedule::last_sent_at(tx, reminder.id).await?;
        // A reminder is sent once a day, however often it is switched on.
        let sent_at = last_sent_at.filter(|sent_at| day_in(zone, *sent_at) == reminder.reminder_time.0);
        schedule::set(tx, reminder.id, due_at, sent_at.filter(|_| due_at.is_some())).await
    }
}

/// Moves the user's pending reminders to 08:00 in another time zone (IANA name), in the transaction that sets the zone. Requires that the
/// caller has locked the user.
pub async fn rezone(tx: &mut Tx, user: UserId, zone: &str) -> Result<(), StoreError> {
    let Ok(zone) = TimeZone::get(zone) else { return Ok(()) };
    let pending = schedule::pending(tx, user).await?;
    let moved: Vec<_> = pending.into_iter().map(|(id, date)| (id, eight_am(date, &zone))).collect();
    schedule::move_all(tx, &moved).await
}
