//! Sessions and what is recorded in them: written in batches, one commit for all that arrived while the last one was under way; read
//! beside them.

use std::time::Duration;

use faceofmind_base::{Clock, Rng};
use faceofmind_db::{Database, MAX_ROWS};
use faceofmind_runtime::legacy::{Address, Failure, Reply};
use faceofmind_runtime::{ChildSpec, FlushId, Handle};
use jiff::tz::TimeZone;

use crate::suggestions::Suggestions;
use faceofmind_model::event::EventContext;
use faceofmind_model::user::UserId;
use faceofmind_platform::encryption::Keyring;
use faceofmind_platform::idempotency;
use faceofmind_platform::idempotency::Once;
use faceofmind_platform::outbox::Publisher;

mod book;
mod charts;
mod decision;
mod desk;
mod detection;
mod export;
mod feedback;
mod history;
mod made;
mod plan;
mod reading;
mod recording;
mod resealing;
mod room;
mod session;
mod sitting;
mod store;
mod tally;
mod trap;
mod window;

pub use charts::{Day, Diagnosis};
use desk::{Change, Means, Outcome};
pub use detection::{Comfort, Detected, Detection, MOST_DETECTIONS, Processed, voice_place};
pub use export::export;
pub use feedback::{Feedback, Rating};
pub use history::{FaceId, History, Moment, Suggestion, SuggestionId, VoiceId};
pub use recording::{Call, Listener};
pub use resealing::reseal;
use room::Room;
pub use session::{DetectionId, FeedbackId, Listed, Session, SessionError, SessionId};
pub use store::erase;
pub use tally::IntensityTally;
#[cfg(any(test, feature = "test-hooks"))]
pub use trap::Step;
use trap::Trap;
pub use window::{InvalidWindow, Window};

/// How much may wait, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Letters that may lie unfinished; beyond, callers hear "busy" at once.
    pub mailbox: usize,
    /// How long a caller waits at most.
    pub deadline: Duration,
    /// Rows in one transaction at most, in any table, but for a call that alone brings more; 512 are the most that there may be.
    pub largest_batch: usize,
    /// Bytes of text in one history, about; of a longer one the oldest detections are left out.
    pub largest_history: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let deadline = Duration::from_secs(10);
        Self { mailbox: 4096, deadline, largest_batch: MAX_ROWS, largest_history: 32 << 20 }
    }
}

/// Whom the tracker turns to, and what it takes from the house.
#[derive(Clone, Debug)]
pub struct Neighbours {
    /// Hears of every commit that recorded events.
    pub publisher: Handle<Publisher>,
    /// Knows what to say to what was felt.
    pub suggestions: Suggestions,
    /// Seals what was said.
    pub keyring: Keyring,
    /// Cuts the days of people who have set no zone.
    pub time_zone: TimeZone,
}

/// Where sessions are started, ended and seen, and where it is told what is felt in them.
#[derive(Clone, Debug)]
pub struct Sessions {
    address: Address<Message>,
    suggestions: Suggestions,
    clock: Clock,
    #[cfg(any(test, feature = "test-hooks"))]
    trap: Trap,
}

enum Message {
    /// Boxed: most letters are small.
    Write {
        call: Call,
        change: Box<Change>,
        reply: Reply<Outcome>,
    },
    Read(Read),
    Landed(FlushId),
}

enum Read {
    Get(UserId, SessionId, Reply<Result<Session, SessionError>>),
    Answered(idempotency::Key, Reply<Result<Option<idempotency::Answer>, SessionError>>),
    Count(UserId, Reply<Result<u64, SessionError>>),
    List { user: UserId, skip: u32, limit: u32, reply: Reply<Result<Vec<Listed>, SessionError>> },
    History(UserId, SessionId, Reply<Result<History, SessionError>>),
    Days { user: UserId, window: Window, zone: Option<TimeZone>, reply: Reply<Result<Vec<Day>, SessionError>> },
    Diagnosis { user: UserId, window: Window, zone: Option<TimeZone>, reply: Reply<Result<Diagnosis, SessionError>> },
}

impl Sessions {
    /// The tracker of the sessions in `db`, and the child to be supervised.
    pub fn new(
        settings: Settings,
        db: Database,
        neighbours: Neighbours,
        (clock, rng): (Clock, Rng),
    ) -> (Self, ChildSpec) {
        let Neighbours { publisher, suggestions, keyring, time_zone } = neighbours;
        let address = Address::new("session_tracker", settings.mailbox, settings.deadline);
        let trap = Trap::new(&address);
        let sessions = Self {
            address: address.clone(),
            suggestions,
            clock: clock.clone(),
            #[cfg(any(test, feature = "test-hooks"))]
            trap: trap.clone(),
        };
        let means = Means { db, publisher, keyring, time_zone, trap, clock, rng };
        let child = ChildSpec::legacy(address.clone(), move || {
            let room = Room::new(settings, means.clone(), address.clone());
            async move { Ok::<_, Failure>(room) }
        });
        (sessions, child)
    }

    /// Starts a session. With a key that this user has used before, the answer of that time comes back instead.
    ///
    /// # Errors
    /// [`SessionError::KeyReused`]; [`SessionError::NotFound`] when there is no such user.
    pub async fn start(&self, call: Call) -> Result<Once<Session>, SessionError> {
        self.make(call, Change::Start).await
    }

    /// Ends a session; one that has ended stays as it is.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], also for another user's.
    pub async fn end(&self, user: UserId, id: SessionId, origin: EventContext) -> Result<Session, SessionError> {
        self.change(user, Change::End(id), origin).await
    }

    /// Deletes a session with all that was recorded in it.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], also for another user's.
    pub async fn delete(&self, user: UserId, id: SessionId, origin: EventContext) -> Result<(), SessionError> {
        self.change(user, Change::Delete(id), origin).await.map(drop)
    }

    /// One session.
    ///
    /// # Errors
    /// [`SessionError::NotFound`], also for another user's.
    pub async fn get(&self, user: UserId, id: SessionId) -> Result<Session, SessionError> {
        self.address.ask(|reply| Message::Read(Read::Get(user, id, reply))).await
    }

    /// How many sessions the user has.
    ///
    /// # Errors
    /// [`SessionError::Failed`].
    pub async fn count(&self, user: UserId) -> Result<u64, SessionError> {
        self.address.ask(|reply| Message::Read(Read::Count(user, reply))).await
    }

    /// Up to `limit` of the user's sessions, newest first, after the `skip` newest.
    ///
    /// # Errors
    /// [`SessionError::Failed`].
    pub async fn list(&self, user: UserId, skip: u32, limit: u32) -> Result<Vec<Listed>, SessionError> {
        self.address.ask(|reply| Message::Read(Read::List { user, skip, limit, reply })).await
    }

    /// A change that takes no key.
    async fn change(&self, user: UserId, change: Change, origin: EventContext) -> Result<Session, SessionError> {
        match self.make(Call { user, origin, key: None }, change).await? {
            Once::Now(session) => Ok(session),
            Once::Again(_) => Err(SessionError::KeyReused),
        }
    }

    async fn make<T: TryFrom<made::Made, Error = Failure>>(
        &self,
        call: Call,
        change: Change,
    ) -> Result<Once<T>, SessionError> {
        Ok(match self.address.ask(|reply| Message::Write { call, change: Box::new(change), reply }).await? {
            Once::Now(made) => Once::Now(made.try_into()?),
            Once::Again(answer) => Once::Again(answer),
        })
    }

    /// Lets the tracker die when a batch of so many changes, or more, comes so far.
    #[cfg(any(test, feature = "test-hooks"))]
    pub fn panic_at(&self, step: Step, changes: usize) {
        self.trap.set(step, changes);
    }

    /// Whether it is still to die.
    #[cfg(any(test, feature = "test-hooks"))]
    pub fn is_to_panic(&self) -> bool {
        self.trap.is_set()
    }
}

#[cfg(test)]
mod tests;
