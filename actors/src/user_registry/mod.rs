//! Who exists, and who may log in.
//!
//! Eight actors share the users by key: what is written of one user is written in order, different users in parallel. Between nodes the
//! database's constraints and row locks decide.

use std::{
    hash::{DefaultHasher, Hash, Hasher as _},
    sync::Arc,
    time::Duration,
};

use faceofmind_kit::{Actor, Address, Child, Clock, Database, Errands, Failure, Permit, Reply, Rng};
use serde_json::{Value, json};

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
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

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
    Sweep,
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
    Delete { user: UserId, origin: Origin, reply: Reply<Result<(), ChangeError>> },
    CreateAdmin(NewAdmin, PasswordHash, Reply<Result<User, ChangeError>>),
}

/// What a code is asked for.
enum CodeFor {
    Claim(UserId),
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
            otp: neighbours.otp.clone(),
            views: neighbours.views.clone(),
            clock,
            rng,
        };
        let children = shards.iter().enumerate().map(|(index, address)| {
            let (ledger, own) = (ledger.clone(), address.clone());
            Child::new(address.clone(), move || {
                let room = Shard { ledger: ledger.clone(), errands: Errands::default(), address: own.clone() };
                if index == 0 {
                    own.tell(Message::Sweep);
                }
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
        self.shards[0].ask(|reply| Message::Read(Read::Draft(occasion.clone(), reply))).await
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

struct Shard {
    ledger: Ledger,
    errands: Errands,
    address: Address<Message>,
}

impl Shard {
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

    /// One at a time: what is written of one user is written in the order in which it was asked.
    async fn write(&self, write: Write) {
        let ledger = &self.ledger;
        match write {
            Write::Register(new, reply) => reply.send(ledger.register(new).await),
            Write::Verify { email, claim, origin, reply } => reply.send(ledger.verify(&email, claim, &origin).await),
            Write::SendCode { occasion, client, reply } => reply.send(ledger.send_code(occasion, &client).await),
            Write::SetPassword(new, reply) => reply.send(ledger.set_password(new).await),
            Write::RenewHash { user, old, new, reply } => reply.send(ledger.renew_hash(user, &old, &new).await),
            Write::Change { user, change, origin, reply } => reply.send(ledger.change(user, change, &origin).await),
            Write::Delete { user, origin, reply } => reply.send(ledger.delete(user, &origin).await),
            Write::CreateAdmin(new, password, reply) => reply.send(ledger.create_admin(new, password).await),
        }
    }

    fn sweep(&mut self) {
        let (ledger, address) = (self.ledger.clone(), self.address.clone());
        self.errands.run(async move {
            if let Err(failure) = ledger.sweep().await {
                tracing::warn!(%failure, "accounts that nobody verified were not swept");
            }
            tokio::time::sleep(SWEEP_EVERY).await;
            address.tell(Message::Sweep);
        });
    }
}

impl Actor for Shard {
    type Message = Message;

    async fn receive(&mut self, message: Message, permit: Permit) {
        match message {
            Message::Read(read) => self.read(read, permit),
            Message::Write(write) => self.write(write).await,
            Message::Sweep => self.sweep(),
        }
    }

    fn observe(&self) -> Value {
        json!({ "reads_under_way": self.errands.under_way(), "panicked": self.errands.panicked() })
    }
}
