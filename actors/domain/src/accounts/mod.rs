//! Who exists, and who may log in.
//!
//! Eight actors share the users by key, the address until it is verified and the id from then on: what is written under one key is written
//! in the order in which it was asked, under different keys in parallel. Between keys, and between nodes, the database's constraints and
//! row locks decide.

use std::{
    hash::{DefaultHasher, Hash, Hasher as _},
    sync::Arc,
    time::Duration,
};

use faceofmind_base::{Clock, Rng};
use faceofmind_db::Database;
use faceofmind_runtime::legacy::{Address, Failure, Reply};
use faceofmind_runtime::{ChildSpec, Handle};
use tracing::Instrument as _;

mod address_changes;
mod addresses;
mod changes;
mod claims;
mod export;
pub mod hooks;
mod ledger;
mod listing;
mod mail;
mod many;
pub mod password;
mod passwords;
mod registration;
mod shard;
mod store;

pub use addresses::AddressError;
pub use changes::{AccountChange, ChangeError, NewAdmin};
pub use export::export;
pub use ledger::{hold, is_unchanged};
pub use listing::{Filter, Page};
pub use mail::{Draft, Subject};
pub use many::{active_among, time_zones};
pub use password::{PasswordError, PasswordRefused, PasswordRules};
pub use registration::{RegisterError, Registration, VerifyError};

use faceofmind_model::{ClaimId, Email, Role, Status, User, UserId};

use self::{ledger::Ledger, shard::Shard};
use faceofmind_model::event::EventContext;
use faceofmind_model::{MailReason, RequestContext};
use faceofmind_platform::auth_cache::Views;
use faceofmind_platform::mail::Mailer;
use faceofmind_platform::otp::Otp;
use faceofmind_platform::outbox::Publisher;
use faceofmind_platform::password_hasher::{Hasher, PasswordHash};
use faceofmind_platform::rate_limit::{Limit, Limits};

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
    /// How many may register, or ask to move to another address, from one client address.
    pub registrations: Limit,
}

/// The rooms that this one speaks with.
#[derive(Clone)]
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
    pub publisher: Handle<Publisher>,
    /// What is believed of users, to be put out when they change.
    pub views: Views,
    /// What other modules do when an account changes.
    pub hooks: Arc<dyn hooks::AccountHooks>,
}

/// Where users are found and changed. Clones lead to the same actors.
#[derive(Clone)]
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
    WantedAddress(UserId, Reply<Result<Option<(ClaimId, Email)>, Failure>>),
    Draft(MailReason, Reply<Result<Option<Draft>, Failure>>),
}

enum Write {
    Register(ledger::NewRegistration, Reply<Result<(), Failure>>),
    Verify {
        email: Email,
        claim: ClaimId,
        origin: EventContext,
        reply: Reply<Result<User, VerifyError>>,
    },
    SendCode {
        occasion: CodeFor,
        client: RequestContext,
        reply: Reply<Result<(), Failure>>,
    },
    SetPassword(ledger::NewPassword, Reply<Result<(), PasswordError>>),
    RequestAddress(ledger::NewAddress, Reply<Result<(), Failure>>),
    ChangeAddress(ledger::ProvenAddress, Reply<Result<ledger::Moved, AddressError>>),
    /// Writes nothing, and looks only once what was asked before is written or never will be.
    Compare {
        user: UserId,
        revision: i64,
        reply: Reply<Result<bool, Failure>>,
    },
    RenewHash {
        user: UserId,
        old: PasswordHash,
        new: PasswordHash,
        reply: Reply<Result<(), Failure>>,
    },
    Change {
        user: UserId,
        change: AccountChange,
        origin: EventContext,
        reply: Reply<Result<User, ChangeError>>,
    },
    Delete {
        user: UserId,
        compared_at: Option<i64>,
        origin: EventContext,
        reply: Reply<Result<Email, ChangeError>>,
    },
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
    ) -> (Self, Vec<ChildSpec>) {
        let shards: Arc<[Address<Message>]> = SHARDS.map(|name| Address::new(name, MAILBOX, DEADLINE)).into();
        let ledger = Ledger {
            db,
            rewrite: Arc::default(),
            publisher: neighbours.publisher.clone(),
            mailer: neighbours.mailer.clone(),
            views: neighbours.views.clone(),
            hooks: Arc::clone(&neighbours.hooks),
            clock,
            rng,
        };
        let children = shards.iter().enumerate().map(|(index, address)| {
            let (ledger, own) = (ledger.clone(), address.clone());
            ChildSpec::legacy(address.clone(), move || {
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
    pub async fn draft(&self, occasion: &MailReason) -> Result<Option<Draft>, Failure> {
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
