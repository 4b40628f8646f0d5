//! Who exists, and who may log in.
//!
//! Eight actors share the users by key, the address until it is verified and the id from then on: what is written under one key is written
//! in the order in which it was asked, under different keys in parallel. Between keys, and between nodes, the database's constraints and
//! row locks decide.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher as _},
    sync::Arc,
    time::Duration,
};

use faceofmind_kit::{Actor, Address, Child, Clock, Database, Errands, Failure, Permit, Reply, Rng};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument as _;

mod accounts;
mod claims;
mod ledger;
mod listing;
mod mail;
pub mod password;
mod passwords;
mod registration;
mod store;
pub mod user;

pub use accounts::{AccountChange, ChangeError, NewAdmin};
pub use ledger::is_unchanged;
pub use listing::{Filter, Page};
pub use mail::{Draft, Subject};
pub use password::{PasswordError, PasswordRefused, PasswordRules};
pub use registration::{RegisterError, Registration, VerifyError};
pub use user::{ClaimId, Email, Role, Status, User, UserId};

use self::ledger::Ledger;
use crate::{
    client::Client,
    hasher::{Hasher, PasswordHash},
    limits::{Limit, Limits},
    logins::Views,
    mailer::{Mailer, Occasion},
    otp::Otp,
    publisher::{Origin, Publisher},
};

/// The names of the shards.
pub const SHARDS: [&str; 8] =
    ["registry-0", "registry-1", "registry-2", "registry-3", "registry-4", "registry-5", "registry-6", "registry-7"];
const MAILBOX: usize = 1024;
const DEADLINE: Duration = Duration::from_secs(10);

/// What the registry is bound by.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Which passwords are taken.
    pub passwords: PasswordRules,
    /// How many may register from one client address.
    pub registrations: Limit,
}

/// The rooms that this one speaks with.
#[derive(Clone, Debug)]
pub struct Neighbours {
    /// Hashes passwords.
    pub hasher: Hasher,
    /// Counts registrations.
    pub limits: Limits,
    /// Redeems codes.
    pub otp: Otp,
    /// Sends them.
    pub mailer: Mailer,
    /// Tells of changes.
    pub publisher: Publisher,
    /// What is believed of users, to be put out when they change.
    pub views: Views,
}

/// Where users are found and changed. Clones lead to the same actors.
#[derive(Clone, Debug)]
pub struct UserRegistry {
    shards: Arc<[Address<Message>]>,
    neighbours: Neighbours,
    settings: Settings,
}

/// What a password is compared with.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Whose.
    pub user: User,
    /// None where an admin has activated an account that several people had claimed.
    pub password: Option<PasswordHash>,
}

enum Message {
    Read(Read),
    Write(Write),
    /// The write that was under way has ended.
    Written,
}

enum Read {
    Get(UserId, Reply<Result<Option<User>, Failure>>),
    Credentials(Email, Reply<Result<Option<Credentials>, Failure>>),
    List(Filter, Reply<Result<Page, Failure>>),
    Draft(Occasion, Reply<Result<Option<Draft>, Failure>>),
}

enum Write {
    Register(ledger::NewRegistration, Reply<Result<(), Failure>>),
    Verify { email: Email, claim: ClaimId, origin: Origin, reply: Reply<Result<User, VerifyError>> },
    SendCode { occasion: CodeFor, client: Client, reply: Reply<Result<(), Failure>> },
    SetPassword(ledger::NewPassword, Reply<Result<(), PasswordError>>),
    RenewHash { user: UserId, old: PasswordHash, new: PasswordHash, reply: Reply<Result<(), Failure>> },
    Change { user: UserId, change: AccountChange, origin: Origin, reply: Reply<Result<User, ChangeError>> },
    Delete { user: UserId, origin: Origin, reply: Reply<Result<Email, ChangeError>> },
    CreateAdmin(NewAdmin, PasswordHash, Reply<Result<User, ChangeError>>),
}

/// What a code is asked for.
enum CodeFor {
    /// The claim whose password was typed when the user had that revision.
    Claim {
        user: UserId,
        revision: i64,
    },
    Reset(Email),
}

impl UserRegistry {
    /// The room's handle, and its actors to be supervised.
    pub fn new(
        settings: Settings,
        db: Database,
        neighbours: Neighbours,
        (clock, rng): (Clock, Rng),
    ) -> (Self, Vec<Child>) {
        let shards: Arc<[Address<Message>]> = SHARDS.map(|name| Address::new(name, MAILBOX, DEADLINE)).into();
        let ledger = Ledger {
            db,
            publisher: neighbours.publisher.clone(),
            mailer: neighbours.mailer.clone(),
            views: neighbours.views.clone(),
            clock,
            rng,
        };
        let children = shards.iter().enumerate().map(|(index, address)| {
            let (ledger, own) = (ledger.clone(), address.clone());
            Child::new(address.clone(), move || {
                let room = Shard::new(ledger.clone(), own.clone(), index == 0);
                async move { Ok(room) }
            })
        });
        let children = children.collect();
        (Self { shards, neighbours, settings }, children)
    }

    /// The user of that id.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn get(&self, id: UserId) -> Result<Option<User>, Failure> {
        self.shard(&id).ask(|reply| Message::Read(Read::Get(id, reply))).await
    }

    /// What a password that was typed with that e-mail is compared with.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn credentials(&self, email: &Email) -> Result<Option<Credentials>, Failure> {
        self.shard(email).ask(|reply| Message::Read(Read::Credentials(email.clone(), reply))).await
    }

    /// A page of the users that match.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn list(&self, filter: Filter) -> Result<Page, Failure> {
        self.shard(&filter.after).ask(|reply| Message::Read(Read::List(filter, reply))).await
    }

    /// What is to be written in a mail, and to whom; `None` when there is nobody to write to, or no reason any more.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn draft(&self, occasion: &Occasion) -> Result<Option<Draft>, Failure> {
        self.shard(occasion).ask(|reply| Message::Read(Read::Draft(occasion.clone(), reply))).await
    }

    /// Puts a fresh hash of the same password in the place of the old one.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn renew_hash(&self, user: UserId, old: PasswordHash, new: PasswordHash) -> Result<(), Failure> {
        self.write(&user, |reply| Write::RenewHash { user, old, new, reply }).await
    }

    async fn write<T, E: From<Failure>>(
        &self,
        key: &impl Hash,
        make: impl FnOnce(Reply<Result<T, E>>) -> Write,
    ) -> Result<T, E> {
        self.shard(key).ask(|reply| Message::Write(make(reply))).await
    }

    fn shard(&self, key: &impl Hash) -> &Address<Message> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let index = hasher.finish() % SHARDS.len() as u64;
        &self.shards[usize::try_from(index).unwrap_or(0)]
    }
}

/// Carries `work` through although the one who asked goes away meanwhile: a code is used up for something, or not at all.
async fn to_the_end<T: Send + 'static, E: From<Failure> + Send + 'static>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, E> {
    let working = tokio::spawn(work.in_current_span());
    working.await.unwrap_or_else(|_| Err(Failure::Unavailable("registry").into()))
}

struct Shard {
    ledger: Ledger,
    address: Address<Message>,
    waiting: VecDeque<(Write, Permit)>,
    /// Held by the one write under way. A start has a turn of its own: what an earlier one left behind does not take it.
    turn: Arc<Semaphore>,
    errands: Errands,
    /// What never ends by itself: apart from the errands, which a stop waits for.
    _ticks: Errands,
}

impl Shard {
    fn new(ledger: Ledger, address: Address<Message>, sweeps: bool) -> Self {
        let mut ticks = Errands::default();
        if sweeps {
            ticks.run(ledger::sweep(ledger.clone()));
        }
        let turn = Arc::new(Semaphore::new(1));
        Self { ledger, address, waiting: VecDeque::new(), turn, errands: Errands::default(), _ticks: ticks }
    }

    fn read(&mut self, read: Read, permit: Permit) {
        let ledger = self.ledger.clone();
        match read {
            Read::Get(id, reply) => self.errands.answer(reply, permit, async move { ledger.get(id).await }),
            Read::Credentials(email, reply) => {
                self.errands.answer(reply, permit, async move { ledger.credentials(&email).await });
            }
            Read::List(filter, reply) => self.errands.answer(reply, permit, async move { ledger.list(&filter).await }),
            Read::Draft(occasion, reply) => {
                self.errands.answer(reply, permit, async move { ledger.draft(&occasion).await });
            }
        }
    }

    /// One at a time, beside the mailbox: those who only read do not wait for those who write.
    fn write_next(&mut self) {
        let Ok(turn) = Arc::clone(&self.turn).try_acquire_owned() else { return };
        let next = std::iter::from_fn(|| self.waiting.pop_front()).find(|(_, permit)| !permit.is_orphaned());
        let Some((write, permit)) = next else { return };
        let (ledger, written) = (self.ledger.clone(), Written { turn: Some(turn), address: self.address.clone() });
        self.errands.run(async move {
            ledger.write(write).await;
            drop((permit, written));
        });
    }
}

/// Gives the turn back, however the write ended, and says so.
struct Written {
    turn: Option<OwnedSemaphorePermit>,
    address: Address<Message>,
}

impl Drop for Written {
    fn drop(&mut self) {
        self.turn.take();
        self.address.tell(Message::Written);
    }
}

impl Ledger {
    async fn write(&self, write: Write) {
        match write {
            Write::Register(new, reply) => reply.send(self.register(new).await),
            Write::Verify { email, claim, origin, reply } => reply.send(self.verify(&email, claim, &origin).await),
            Write::SendCode { occasion, client, reply } => reply.send(self.send_code(occasion, &client).await),
            Write::SetPassword(new, reply) => reply.send(self.set_password(new).await),
            Write::RenewHash { user, old, new, reply } => reply.send(self.renew_hash(user, &old, &new).await),
            Write::Change { user, change, origin, reply } => reply.send(self.change(user, change, &origin).await),
            Write::Delete { user, origin, reply } => reply.send(self.delete(user, &origin).await),
            Write::CreateAdmin(new, password, reply) => reply.send(self.create_admin(new, password).await),
        }
    }
}

impl Actor for Shard {
    type Message = Message;

    async fn receive(&mut self, message: Message, permit: Permit) {
        match message {
            Message::Read(read) => self.read(read, permit),
            Message::Write(write) => self.waiting.push_back((write, permit)),
            Message::Written => {}
        }
        self.write_next();
    }

    /// Whatever waits is written; `Written` no longer reaches an actor that stops.
    async fn stop(&mut self) {
        while self.errands.under_way() > 0 {
            self.errands.finish().await;
            self.write_next();
        }
    }

    fn observe(&self) -> Value {
        json!({ "under_way": self.errands.under_way(), "writes_waiting": self.waiting.len(),
                "panicked": self.errands.panicked() })
    }
}

#[cfg(test)]
mod tests;
