//! Log-ins: refresh families, and what makes a bearer token good.

use std::{fmt, sync::Arc, time::Duration};

use faceofmind_base::{Clock, Rng};
use faceofmind_db::Database;
use faceofmind_runtime::legacy::{Actor, Address, Errands, Failure, Permit, Reply};
use faceofmind_runtime::{ChildSpec, Handle};
use serde_json::{Value, json};

mod bearer;
mod export;
mod ledger;
mod log_in;
mod login;
mod token;
mod vigil;

pub use bearer::{BearerError, Identity};
pub use export::export;
pub use log_in::{Attempt, LogInError, LogInLimits};
pub use login::Listed;
pub use token::TokenSettings;
pub use vigil::Vigil;

use faceofmind_model::LoginId;
use faceofmind_platform::{
    auth_cache::{self, Change, Views},
    login_store::Login,
};

use self::{ledger::Ledger, token::Tokens};
use crate::accounts::UserRegistry;
use faceofmind_model::user::{User, UserId};
use faceofmind_platform::mail::Mailer;
use faceofmind_platform::password_hasher::Hasher;
use faceofmind_platform::rate_limit::Limits;

const MAILBOX: usize = 4096;
const DEADLINE: Duration = Duration::from_secs(10);
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// How long log-ins live, and what they are limited by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a refresh token lives after its rotation.
    pub refresh_life: Duration,
    /// How long the token just replaced is answered although its successor has been used.
    pub reuse_grace: Duration,
    /// How often a wrong password may be typed.
    pub limits: LogInLimits,
    /// Keys and claims.
    pub tokens: TokenSettings,
}

/// The rooms that this one speaks with.
#[derive(Clone)]
pub struct Neighbours {
    /// Who exists.
    pub registry: Handle<UserRegistry>,
    /// Compares passwords.
    pub hasher: Hasher,
    /// Counts wrong ones.
    pub limits: Limits,
    /// Tells people of new devices.
    pub mailer: Mailer,
}

/// A person who has logged in or refreshed: the tokens, and who they are. Debug prints no token.
#[derive(Clone)]
pub struct LoggedIn {
    /// For the `Authorization` header.
    pub access_token: String,
    /// For the next refresh.
    pub refresh_token: String,
    /// How long the access token lives, in seconds.
    pub expires_in: i64,
    /// Who.
    pub user: Arc<User>,
}

impl fmt::Debug for LoggedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoggedIn").field("user", &self.user.id).finish_non_exhaustive()
    }
}

/// Where log-ins are opened, refreshed, ended and believed. Clones lead to the same actor.
#[derive(Clone)]
pub struct Logins {
    address: Address<Message>,
    ledger: Ledger,
    neighbours: Neighbours,
    limits: LogInLimits,
}

enum Message {
    Admit(token::Bearer, Reply<Result<Identity, BearerError>>),
    Open(Box<ledger::Entry>, Reply<Result<Option<LoggedIn>, Failure>>),
    Refresh(token::Bearer, Reply<Result<LoggedIn, BearerError>>),
    End { user: UserId, login: LoginId, reply: Reply<Result<bool, Failure>> },
    EndAll { user: UserId, reply: Reply<Result<(), Failure>> },
    List { user: UserId, reply: Reply<Result<Vec<Login>, Failure>> },
    Live { user: UserId, login: LoginId, reply: Reply<Result<Option<Arc<User>>, Failure>> },
    Find { login: LoginId, reply: Reply<Result<Option<Login>, Failure>> },
    Knows { user: UserId, counted_as: String, reply: Reply<Result<bool, Failure>> },
}

impl Logins {
    /// The room's handle, and the actor to be supervised.
    pub fn new(
        settings: Settings,
        db: Database,
        views: Views,
        neighbours: Neighbours,
        (clock, rng): (Clock, Rng),
    ) -> (Self, ChildSpec) {
        let address = Address::new("logins", MAILBOX, DEADLINE);
        let ledger = Ledger {
            db,
            tokens: Arc::new(Tokens::new(settings.tokens, clock.clone(), rng.clone())),
            views,
            registry: neighbours.registry.clone(),
            mailer: neighbours.mailer.clone(),
            life: settings.refresh_life,
            grace: settings.reuse_grace,
            clock,
            rng,
        };
        let room_ledger = ledger.clone();
        let child = ChildSpec::legacy(address.clone(), move || {
            let room = Room::new(room_ledger.clone());
            async move { Ok(room) }
        });
        (Self { address, ledger, neighbours, limits: settings.limits }, child)
    }

    /// Makes new tokens from a refresh token.
    ///
    /// # Errors
    /// [`BearerError::Bad`] when it is not the current one, nor one that may be repeated; a replay has then ended the log-in.
    pub async fn refresh(&self, refresh_token: &str) -> Result<LoggedIn, BearerError> {
        let bearer = self.ledger.tokens.read_refresh(refresh_token).ok_or(BearerError::Bad)?;
        self.address.ask(|reply| Message::Refresh(bearer, reply)).await
    }

    /// Ends one of the user's log-ins; false when there is none such.
    ///
    /// # Errors
    /// [`Failure`]; it may then have ended or not.
    pub async fn end(&self, user: UserId, login: LoginId) -> Result<bool, Failure> {
        self.address.ask(|reply| Message::End { user, login, reply }).await
    }

    /// Ends every log-in of the user's.
    ///
    /// # Errors
    /// [`Failure`]; they may then have ended or not.
    pub async fn end_all(&self, user: UserId) -> Result<(), Failure> {
        self.address.ask(|reply| Message::EndAll { user, reply }).await
    }

    /// The user's log-ins that can still be used, newest first; `current` is the one that asks.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn list(&self, user: UserId, current: LoginId) -> Result<Vec<Listed>, Failure> {
        let logins = self.address.ask(|reply| Message::List { user, reply }).await?;
        Ok(logins.into_iter().map(|login| ledger::listed(login, current)).collect())
    }

    /// A log-in, ended or not.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn find(&self, login: LoginId) -> Result<Option<Login>, Failure> {
        self.address.ask(|reply| Message::Find { login, reply }).await
    }
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins").finish_non_exhaustive()
    }
}

struct Room {
    ledger: Ledger,
    errands: Errands,
    /// What never ends by itself: apart from the errands, which a stop waits for.
    _ticks: Errands,
}

impl Room {
    fn new(ledger: Ledger) -> Self {
        let mut ticks = Errands::default();
        if let Some(nats) = ledger.views.nats() {
            ticks.run(auth_cache::subscribe_remote(nats.clone(), ledger.views.clone()));
        }
        ticks.run(sweep(ledger.clone()));
        Self { ledger, errands: Errands::default(), _ticks: ticks }
    }
}

async fn sweep(ledger: Ledger) {
    loop {
        if let Err(failure) = ledger.sweep().await {
            tracing::warn!(%failure, "old log-ins were not swept");
        }
        tokio::time::sleep(ledger.rng.jitter(SWEEP_EVERY)).await;
    }
}

impl Actor for Room {
    type Message = Message;

    /// Begins the work: the database decides between those who race, so none waits for another.
    async fn receive(&mut self, message: Message, permit: Permit) {
        let (errands, ledger) = (&mut self.errands, self.ledger.clone());
        match message {
            Message::Admit(bearer, reply) => errands.answer(reply, permit, async move { ledger.admit(bearer).await }),
            Message::Open(entry, reply) => errands.answer(reply, permit, async move { ledger.open(*entry).await }),
            Message::Refresh(bearer, reply) => {
                errands.answer(reply, permit, async move { ledger.refresh(bearer).await });
            }
            Message::End { user, login, reply } => {
                errands.answer(reply, permit, async move { ledger.end(user, login).await });
            }
            Message::EndAll { user, reply } => errands.answer(reply, permit, async move { ledger.end_all(user).await }),
            Message::List { user, reply } => errands.answer(reply, permit, async move { ledger.live(user).await }),
            Message::Live { user, login, reply } => {
                errands.answer(reply, permit, async move { ledger.look_up(user, login).await });
            }
            Message::Find { login, reply } => errands.answer(reply, permit, async move { ledger.find(login).await }),
            Message::Knows { user, counted_as, reply } => {
                errands.answer(reply, permit, async move { ledger.knows(user, &counted_as).await });
            }
        }
    }

    async fn stop(&mut self) {
        self.errands.finish().await;
    }

    fn observe(&self) -> Value {
        json!({ "under_way": self.errands.under_way(), "known_logins": self.ledger.views.known(),
                "panicked": self.errands.panicked() })
    }
}
