//! What the actor does, each piece one transaction.

use std::{sync::Arc, time::Duration};

use faceofmind_base::{Clock, Rng};
use faceofmind_db::{Database, Tx};
use faceofmind_runtime::{Handle, legacy::Failure};

use super::{
    BearerError, Change, Identity, LoggedIn, Login, LoginId, Views,
    login::{Listed, Ruling, rule},
    token::{Bearer, Tokens},
};
use crate::accounts;
use crate::accounts::{GetUser, UserRegistry};
use faceofmind_model::user::{Status, User, UserId};
use faceofmind_model::{MailReason, request_context};
use faceofmind_platform::mail::Mailer;
use faceofmind_platform::{login_store as store, mail};

/// What the work is done with. Clones share it.
#[derive(Clone)]
pub(super) struct Ledger {
    pub(super) db: Database,
    pub(super) tokens: Arc<Tokens>,
    pub(super) views: Views,
    pub(super) registry: Handle<UserRegistry>,
    pub(super) mailer: Mailer,
    pub(super) life: Duration,
    pub(super) grace: Duration,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
}

/// A person who has typed the right password.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// As they were when it was compared.
    pub(super) user: User,
    pub(super) device: String,
    pub(super) address: String,
}

impl Ledger {
    /// Reads whose token it is, and proves its generation. The user is read first: what ends a log-in that is read as live bumps a
    /// revision that is older by then.
    pub(super) async fn admit(&self, bearer: Bearer) -> Result<Identity, BearerError> {
        let epoch = self.views.epoch();
        let user = self
            .registry
            .ask(GetUser { id: bearer.user.ok_or(BearerError::Bad)? })
            .await
            .map_err(Failure::from)?
            .ok_or(BearerError::Bad)?;
        let mut login = self.find(bearer.login).await?.ok_or(BearerError::Bad)?;
        let ended = login.ended_at.is_some() || user.status != Status::Active;
        if ended || login.user_id != user.id || bearer.generation > login.generation {
            return Err(BearerError::Bad);
        }
        if bearer.generation > login.proven_generation {
            self.prove(&mut login, bearer.generation).await?;
        }
        let (login, user) = (Arc::new(login), Arc::new(user));
        self.views.keep(epoch, &login, &user);
        Ok(Identity { user, login: login.id })
    }

    /// The user of a log-in that has neither ended nor expired. The user is read first, as in [`Ledger::admit`].
    pub(super) async fn look_up(&self, user: UserId, login: LoginId) -> Result<Option<Arc<User>>, Failure> {
        let epoch = self.views.epoch();
        let Some(user) = self.registry.ask(GetUser { id: user }).await? else { return Ok(None) };
        let found = self.find(login).await?.filter(|login| login.is_live(self.clock.now()));
        let Some(login) = found.filter(|login| login.user_id == user.id && user.status == Status::Active) else {
            return Ok(None);
        };
        let (login, user) = (Arc::new(login), Arc::new(user));
        self.views.keep(epoch, &login, &user);
        Ok(Some(user))
    }

    async fn prove(&self, login: &mut Login, generation: i64) -> Result<(), Failure> {
        let mut tx = self.db.begin().await?;
        store::prove(&mut tx, login.id, generation, self.clock.now()).await?;
        tx.commit().await?;
        login.proven_generation = generation;
        Ok(())
    }

    /// Opens a log-in, unless the user has changed since the password was compared.
    pub(super) async fn open(&self, entry: Entry) -> Result<Option<LoggedIn>, Failure> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        if !accounts::has_revision(&mut tx, entry.user.id, entry.user.revision).await? {
            return Ok(None);
        }
        let from_new_device = is_new_device(&mut tx, entry.user.id, &entry.device).await?;
        let new = store::NewLogin { user: entry.user.id, device: &entry.device, address: &entry.address };
        let login = store::insert(&mut tx, &new, now, self.life).await?;
        if from_new_device {
            let occasion = MailReason::NewDevice { user: entry.user.id, login: login.id };
            mail::queue(&mut tx, self.rng.uuid_v7(now), &occasion, &entry.address, now).await?;
        }
        tx.commit().await?;
        if from_new_device {
            self.mailer.wake();
        }
        Ok(Some(self.tokens_for(&login, Arc::new(entry.user))))
    }

    /// Rotates, repeats, or ends: see [`Login::rule`].
    pub(super) async fn refresh(&self, bearer: Bearer) -> Result<LoggedIn, BearerError> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let rotated = store::rotate(&mut tx, bearer.login, bearer.generation, now, self.life).await?;
        tx.commit().await?;
        let login = match rotated {
            Some(login) => login,
            None => self.repeat(bearer).await?,
        };
        let user =
            self.registry.ask(GetUser { id: login.user_id }).await.map_err(Failure::from)?.ok_or(BearerError::Bad)?;
        if user.status != Status::Active {
            return Err(BearerError::Bad);
        }
        Ok(self.tokens_for(&login, Arc::new(user)))
    }

    async fn repeat(&self, bearer: Bearer) -> Result<Login, BearerError> {
        let login = self.find(bearer.login).await?.ok_or(BearerError::Bad)?;
        match rule(&login, bearer.generation, self.clock.now(), self.grace) {
            Ruling::Repeat => Ok(login),
            Ruling::Rotate | Ruling::Dead => Err(BearerError::Bad),
            Ruling::Replay => {
                tracing::warn!(login = %login.id, user = %login.user_id, "a replaced refresh token was used again: log-in ended");
                self.end(login.user_id, login.id).await?;
                Err(BearerError::Bad)
            }
        }
    }

    /// Puts the log-in out although it may have ended before: whoever asks twice may not have been answered once.
    pub(super) async fn end(&self, user: UserId, login: LoginId) -> Result<bool, Failure> {
        let mut tx = self.db.begin().await?;
        let ended = store::end(&mut tx, user, login, self.clock.now()).await?;
        self.views.commit(tx, [Change::Login(login)]).await?;
        Ok(ended)
    }

    pub(super) async fn end_all(&self, user: UserId) -> Result<(), Failure> {
        let mut tx = self.db.begin().await?;
        let ended = store::end_all(&mut tx, user, None, self.clock.now()).await?;
        self.views.commit(tx, ended.into_iter().map(Change::Login)).await
    }

    pub(super) async fn live(&self, user: UserId) -> Result<Vec<Login>, Failure> {
        store::live(self.db.read_conn().await?.connection(), user, self.clock.now()).await
    }

    pub(super) async fn find(&self, login: LoginId) -> Result<Option<Login>, Failure> {
        store::find(self.db.read_conn().await?.connection(), login).await
    }

    /// Whether the user ever logged in from an address that limits count as this: an IPv6 client has many, and the user's next one is no
    /// stranger's.
    pub(super) async fn knows(&self, user: UserId, counted_as: &str) -> Result<bool, Failure> {
        let mut reader = self.db.read_conn().await?;
        if !request_context::is_network(counted_as) {
            return store::knows(reader.connection(), user, counted_as).await;
        }
        let known = store::addresses(reader.connection(), user).await?;
        Ok(known.iter().any(|address| request_context::rate_limit_key(address) == counted_as))
    }

    pub(super) async fn sweep(&self) -> Result<(), Failure> {
        let mut tx = self.db.begin().await?;
        store::sweep(&mut tx, self.clock.now()).await?;
        Ok(tx.commit().await?)
    }

    fn tokens_for(&self, login: &Login, user: Arc<User>) -> LoggedIn {
        LoggedIn {
            access_token: self.tokens.access(login, &user),
            refresh_token: self.tokens.refresh(login),
            expires_in: self.tokens.access_seconds(),
            user,
        }
    }
}

/// Whether the user has logged in before, and never with that device. Those who are about to log in with one that is not known take turns
/// from here on, until each has or has not: of several at once, the first is the one that was not known. They hold the user already, and
/// nobody who waits for the user holds this lock.
async fn is_new_device(tx: &mut Tx, user: UserId, device: &str) -> Result<bool, Failure> {
    if store::knows_device(tx, user, device).await? {
        return Ok(false);
    }
    tx.lock(&format!("devices of {user}")).await?;
    store::is_new_device(tx, user, device).await
}

pub(super) fn listed(login: Login, current: LoginId) -> Listed {
    Listed {
        current: login.id == current,
        id: login.id,
        device: login.device,
        address: login.address,
        created_at: login.created_at,
        last_used_at: login.last_used_at,
    }
}
