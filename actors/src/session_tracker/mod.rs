//! Sessions: started, ended and deleted in batches, one commit for all that arrived while the last one was under way; read beside
//! them.

use std::{sync::Arc, time::Duration};

use faceofmind_kit::{
    Actor, Address, Batch, Child, Clock, Database, Errands, Failure, FlightNumber, Permit, Reply, Rng, padded,
};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::{
    idempotency,
    keyring::Keyring,
    publisher::{Origin, Publisher},
    user_registry::UserId,
};

mod charts;
mod desk;
mod history;
mod reading;
mod session;
mod sitting;
mod store;
mod tally;
mod window;

pub use charts::{Day, Diagnosis};
use desk::{Change, Desk, Means, Write};
pub use history::{FaceId, History, Moment, Suggestion, SuggestionId, VoiceId};
pub use session::{DetectionId, FeedbackId, Listed, Session, SessionError, SessionId, Started};
pub use store::erase;
pub use tally::IntensityTally;
use window::Days;
pub use window::{InvalidWindow, Window};

const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// How much may wait, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Letters that may lie unfinished; beyond, callers hear "busy" at once.
    pub mailbox: usize,
    /// How long a caller waits at most.
    pub deadline: Duration,
    /// Changes in one transaction at most; 512 are the most that there may be.
    pub largest_batch: usize,
    /// Bytes of text in one history, about; of a longer one the oldest detections are left out.
    pub largest_history: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let deadline = Duration::from_secs(10);
        Self { mailbox: 4096, deadline, largest_batch: padded::MOST_ROWS, largest_history: 32 << 20 }
    }
}

/// Whom the tracker turns to, and what it takes from the house.
pub struct Neighbours {
    /// Hears of every commit that recorded events.
    pub publisher: Publisher,
    /// Opens what was said.
    pub keyring: Keyring,
    /// Cuts the days of people who have set no zone.
    pub time_zone: TimeZone,
}

/// Where sessions are started, ended and seen.
#[derive(Clone, Debug)]
pub struct Sessions(Address<Message>);

enum Message {
    Write { user: UserId, change: Change, origin: Origin, reply: Reply<Result<Started, SessionError>> },
    Read(Read),
    Landed(FlightNumber),
}

enum Read {
    Get(UserId, SessionId, Reply<Result<Session, SessionError>>),
    Count(UserId, Reply<Result<u64, SessionError>>),
    List { user: UserId, skip: u32, limit: u32, reply: Reply<Result<Vec<Listed>, SessionError>> },
    History(UserId, SessionId, Reply<Result<History, SessionError>>),
    Days { user: UserId, window: Window, zone: Option<TimeZone>, reply: Reply<Result<Vec<Day>, SessionError>> },
    Diagnosis { user: UserId, window: Window, zone: Option<TimeZone>, reply: Reply<Result<Diagnosis, SessionError>> },
}

impl Sessions {
    /// The tracker of the sessions in `db`, and the child to be supervised.
    pub fn new(settings: Settings, db: Database, neighbours: Neighbours, (clock, rng): (Clock, Rng)) -> (Self, Child) {
        let Neighbours { publisher, keyring, time_zone } = neighbours;
        let means = Means { db, publisher, keyring, time_zone, clock, rng };
        let address = Address::new("session_tracker", settings.mailbox, settings.deadline);
        let sessions = Self(address.clone());
        let child = Child::new(address.clone(), move || {
            let room = Room::new(settings, means.clone(), address.clone());
            async move { Ok::<_, Failure>(room) }
        });
        (sessions, child)
    }

    /// Starts a session. With a key that this user has used before, the session of that time and its answer come back instead.
    ///
    /// # Errors
    /// [`SessionError::KeyReused`]; [`SessionError::NotFound`] when there is no such user.
    pub async fn start(
        &self,
        user: UserId,
        origin: Origin,
        idempotency: Option<idempotency::Key>,
    ) -> Result<Started, SessionError> {
        self.write(user, Change::Start(idempotency.map(|key| idempotency::Key { user, ..key })), origin).await
    }

    /// Ends a session; one that has ended stays as it is.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], also for another user's.
    pub async fn end(&self, user: UserId, id: SessionId, origin: Origin) -> Result<Session, SessionError> {
        self.write(user, Change::End(id), origin).await.map(|written| written.session)
    }

    /// Deletes a session with all that was recorded in it.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], also for another user's.
    pub async fn delete(&self, user: UserId, id: SessionId, origin: Origin) -> Result<(), SessionError> {
        self.write(user, Change::Delete(id), origin).await.map(drop)
    }

    /// One session.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], also for another user's.
    pub async fn get(&self, user: UserId, id: SessionId) -> Result<Session, SessionError> {
        self.0.ask(|reply| Message::Read(Read::Get(user, id, reply))).await
    }

    /// How many sessions the user has.
    ///
    /// # Errors
    /// [`SessionError::Failed`].
    pub async fn count(&self, user: UserId) -> Result<u64, SessionError> {
        self.0.ask(|reply| Message::Read(Read::Count(user, reply))).await
    }

    /// Up to `limit` of the user's sessions, newest first, after the `skip` newest.
    ///
    /// # Errors
    /// [`SessionError::Failed`].
    pub async fn list(&self, user: UserId, skip: u32, limit: u32) -> Result<Vec<Listed>, SessionError> {
        self.0.ask(|reply| Message::Read(Read::List { user, skip, limit, reply })).await
    }

    async fn write(&self, user: UserId, change: Change, origin: Origin) -> Result<Started, SessionError> {
        self.0.ask(|reply| Message::Write { user, change, origin, reply }).await
    }
}

struct Room {
    batch: Batch<Write>,
    last_batch: usize,
    largest_history: usize,
    errands: Errands,
    desk: Arc<Desk>,
    /// What never ends by itself: apart from the errands, which a stop waits for.
    _ticks: Errands,
}

impl Room {
    fn new(settings: Settings, means: Means, address: Address<Message>) -> Self {
        let largest_batch = settings.largest_batch.clamp(1, padded::MOST_ROWS);
        let mut ticks = Errands::default();
        ticks.run(sweep(means.clone()));
        Self {
            batch: Batch::new(largest_batch, move |flight| address.tell(Message::Landed(flight))),
            last_batch: 0,
            largest_history: settings.largest_history,
            errands: Errands::default(),
            desk: Arc::new(Desk::new(means)),
            _ticks: ticks,
        }
    }

    fn flush(&mut self) {
        let Some((batch, flight)) = self.batch.take_off() else { return };
        self.last_batch = batch.len();
        let desk = Arc::clone(&self.desk);
        self.errands.run(async move {
            desk.write(batch).await;
            drop(flight);
        });
    }

    fn land(&mut self, flight: FlightNumber) {
        self.batch.land(flight);
        self.flush();
    }

    fn days(&self, window: Window, zone: Option<TimeZone>) -> Days {
        let Means { clock, time_zone, .. } = &self.desk.means;
        window.days(clock.now(), zone.as_ref().unwrap_or(time_zone))
    }

    fn read(&mut self, read: Read, permit: Permit) {
        let db = self.desk.means.db.clone();
        match read {
            Read::Get(user, id, reply) => {
                self.errands.answer(reply, permit, async move { reading::get(&db, user, id).await });
            }
            Read::Count(user, reply) => {
                self.errands.answer(reply, permit, async move { reading::count(&db, user).await });
            }
            Read::List { user, skip, limit, reply } => {
                self.errands.answer(reply, permit, async move { reading::list(&db, user, skip, limit).await });
            }
            Read::History(user, id, reply) => {
                let (keyring, largest) = (self.desk.means.keyring.clone(), self.largest_history);
                let read = async move { history::read(&db, &keyring, (user, id), largest).await };
                self.errands.answer(reply, permit, read);
            }
            Read::Days { user, window, zone, reply } => {
                let days = self.days(window, zone);
                self.errands.answer(reply, permit, async move { Ok(charts::days(&db, user, days).await?) });
            }
            Read::Diagnosis { user, window, zone, reply } => {
                let days = self.days(window, zone);
                let read = async move { Ok(charts::diagnosis(&db, user, window, days).await?) };
                self.errands.answer(reply, permit, read);
            }
        }
    }
}

/// Who claims keys sweeps them: at once and every now and then.
async fn sweep(means: Means) {
    loop {
        if let Err(failure) = sweep_keys(&means).await {
            tracing::warn!(%failure, "old idempotency keys were not swept");
        }
        tokio::time::sleep(means.rng.jitter(SWEEP_EVERY)).await;
    }
}

async fn sweep_keys(means: &Means) -> Result<(), Failure> {
    loop {
        let mut tx = means.db.begin().await?;
        let swept = idempotency::sweep(&mut tx, means.clock.now()).await?;
        tx.commit().await?;
        if swept == 0 {
            return Ok(());
        }
    }
}

impl Actor for Room {
    type Message = Message;

    async fn receive(&mut self, message: Message, permit: Permit) {
        match message {
            Message::Write { user, change, origin, reply } => {
                self.batch.push(Write { user, change, origin, reply, permit });
                self.flush();
            }
            Message::Read(read) => self.read(read, permit),
            Message::Landed(flight) => self.land(flight),
        }
    }

    /// Whatever waits is written; `Landed` no longer reaches an actor that stops.
    async fn stop(&mut self) {
        while self.errands.under_way() + self.batch.waiting() > 0 {
            self.errands.finish().await;
            self.batch.land_all();
            self.flush();
        }
    }

    fn observe(&self) -> Value {
        json!({ "waiting": self.batch.waiting(), "in_flight": usize::from(self.batch.is_in_flight()) * self.last_batch, "last_batch": self.last_batch,
                "panicked": self.errands.panicked(), "writes": self.desk.counters() })
    }
}

#[cfg(test)]
mod tests;
