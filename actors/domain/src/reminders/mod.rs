//! What people want to be reminded of, and when.
//!
//! A reminder is for a date, and due at 08:00 of it where the person is: in the time zone that they have set, else in the service's. That
//! moment stands beside the reminder, follows the person to another zone ([`rezone`]), and is looked for every second by every node. Who
//! finds it records `reminder.due` and the intent to mail, and notes that it is told, in one transaction: once, however many look and
//! whoever dies meanwhile.
//!
//! Told is what is for today, or later, when it is written; of a day that is over nothing is. Told late, as after an outage, is what became
//! due within the last 24 hours; what is older passes, and so does what becomes due while the account is not active. A new date, or
//! switching it off and on, has a reminder told again; new words do not. The predecessor's reminders are taken up at the start, by the
//! same rules: what was due before that day is not told.
//!
//! A move undoes none of this: what was for a day that was over when it was written stays untold, also where that day is today again, and
//! what is more than 24 hours past where the person arrives passes.

use std::time::Duration;

use faceofmind_base::{Clock, Rng};
use faceofmind_db::{Database, Tx};
use faceofmind_runtime::legacy::{Address, Failure, Reply};
use faceofmind_runtime::{ChildSpec, Handle};
use jiff::tz::TimeZone;

use faceofmind_model::user::UserId;
use faceofmind_platform::encryption::Keyring;
use faceofmind_platform::idempotency;
use faceofmind_platform::idempotency::Once;
use faceofmind_platform::mail::Mailer;
use faceofmind_platform::outbox::Publisher;

mod adoption;
mod due;
mod export;
mod ledger;
mod reminder;
mod room;
mod store;

pub use export::export;
pub use reminder::{MOST, NewReminder, Reminder, ReminderChange, ReminderError, ReminderId};

use self::{due::Round, ledger::Ledger, room::Room, store::schedule};

const MAILBOX: usize = 1024;
const DEADLINE: Duration = Duration::from_secs(10);

/// Whom the room turns to, and what it takes from the house.
#[derive(Clone, Debug)]
pub struct Neighbours {
    /// Tells of what is due.
    pub publisher: Handle<Publisher>,
    /// Mails it.
    pub mailer: faceofmind_runtime::Handle<Mailer>,
    /// Seals the answers that are kept for those who ask again.
    pub keyring: Keyring,
    /// Where people are who have set no zone.
    pub time_zone: TimeZone,
}

/// Where reminders are made, changed and seen. Clones lead to the same actor.
#[derive(Clone, Debug)]
pub struct Reminders {
    address: Address<Message>,
    #[cfg(test)]
    trap: due::Trap,
}

enum Message {
    Create {
        user: UserId,
        new: NewReminder,
        key: Option<idempotency::Key>,
        reply: Reply<Created>,
    },
    Change {
        user: UserId,
        id: ReminderId,
        change: ReminderChange,
        reply: Reply<Result<Reminder, ReminderError>>,
    },
    Delete {
        user: UserId,
        id: ReminderId,
        reply: Reply<Result<(), ReminderError>>,
    },
    Get {
        user: UserId,
        id: ReminderId,
        reply: Reply<Result<Reminder, ReminderError>>,
    },
    List {
        user: UserId,
        skip: u32,
        limit: u32,
        reply: Reply<Result<Vec<Reminder>, Failure>>,
    },
    Told {
        id: ReminderId,
        reply: Reply<Result<Option<Reminder>, Failure>>,
    },
    /// Something may be due.
    Look,
    /// A round has ended, well or not.
    Looked(Round),
}

type Created = Result<Once<Reminder>, ReminderError>;

impl Reminders {
    /// The room's handle, and the actor to be supervised.
    pub fn new(db: Database, neighbours: Neighbours, (clock, rng): (Clock, Rng)) -> (Self, ChildSpec) {
        let address = Address::new("reminders", MAILBOX, DEADLINE);
        let ledger = Ledger { db, neighbours, clock, rng, trap: due::Trap::default() };
        let reminders = Self {
            address: address.clone(),
            #[cfg(test)]
            trap: ledger.trap.clone(),
        };
        let child = ChildSpec::legacy(address.clone(), move || {
            let room = Room::new(ledger.clone(), address.clone());
            async move { Ok(room) }
        });
        (reminders, child)
    }

    /// Makes a reminder. With a key that this user has used before, the answer of that time comes back instead.
    ///
    /// # Errors
    /// [`ReminderError::KeyReused`]; [`ReminderError::TooMany`] when there are [`MOST`]; [`ReminderError::NotFound`] when there is no
    /// such user.
    pub async fn create(&self, user: UserId, new: NewReminder, key: Option<idempotency::Key>) -> Created {
        self.address.ask(|reply| Message::Create { user, new, key, reply }).await
    }

    /// Changes a reminder. With another date, or switched on again, it is told again.
    ///
    /// # Errors
    /// [`ReminderError::NotFound`], also for another user's.
    pub async fn change(
        &self,
        user: UserId,
        id: ReminderId,
        change: ReminderChange,
    ) -> Result<Reminder, ReminderError> {
        self.address.ask(|reply| Message::Change { user, id, change, reply }).await
    }

    /// Deletes a reminder.
    ///
    /// # Errors
    /// [`ReminderError::NotFound`], also for another user's.
    pub async fn delete(&self, user: UserId, id: ReminderId) -> Result<(), ReminderError> {
        self.address.ask(|reply| Message::Delete { user, id, reply }).await
    }

    /// One reminder.
    ///
    /// # Errors
    /// [`ReminderError::NotFound`], also for another user's.
    pub async fn get(&self, user: UserId, id: ReminderId) -> Result<Reminder, ReminderError> {
        self.address.ask(|reply| Message::Get { user, id, reply }).await
    }

    /// Up to `limit` of the user's reminders, newest first, after the `skip` newest.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn list(&self, user: UserId, skip: u32, limit: u32) -> Result<Vec<Reminder>, Failure> {
        self.address.ask(|reply| Message::List { user, skip, limit, reply }).await
    }

    /// A reminder that is due, to be mailed; `None` when it is gone, switched off or to be told at another time.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn told(&self, id: ReminderId) -> Result<Option<Reminder>, Failure> {
        self.address.ask(|reply| Message::Told { id, reply }).await
    }
}

/// Moves what is still to be told to a user to 08:00 in their new time zone (IANA name), in the transaction in which that is set. The caller
/// has locked the user.
///
/// # Errors
/// [`Failure::Store`].
pub async fn rezone(tx: &mut Tx, user: UserId, zone: &str) -> Result<(), Failure> {
    let Ok(zone) = TimeZone::get(zone) else { return Ok(()) };
    let waiting = schedule::waiting(tx, user).await?;
    let moved: Vec<_> = waiting.into_iter().map(|(id, date)| (id, reminder::morning(date, &zone))).collect();
    schedule::move_all(tx, &moved).await
}

/// Removes the user's reminders in the caller's transaction.
///
/// # Errors
/// [`Failure::Store`].
pub async fn erase(tx: &mut Tx, user: UserId) -> Result<(), Failure> {
    store::erase(tx, user).await
}

#[cfg(test)]
mod tests;
