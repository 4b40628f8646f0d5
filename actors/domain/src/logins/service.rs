//! The use cases of logins, each one transaction. Logging in with a password is in [`password_login`](super::password_login).

use std::{sync::Arc, time::Duration};

use faceofmind_db::StoreError;
use faceofmind_model::{LoginId, Status, User, UserId};
use faceofmind_platform::{
    Platform,
    auth_cache::{Invalidation, ReadEpoch},
    login_store::{self as store, Login},
};
use faceofmind_runtime::Handle;
use secrecy::ExposeSecret as _;

use crate::accounts::{GetUser, UserRegistry};

use super::{
    AuthenticatedUser, EndAllLogins, EndLogin, FindLogin, ListLogins, LoginError, LoginLimits, LoginSummary,
    RefreshTokens, Settings, TokenError, TokenPair,
    messages::{Authenticate, GetLoggedInUser},
    rules::{RefreshDecision, decide_refresh},
    tokens::{TokenRef, Tokens},
};

pub struct LoginService {
    pub(super) accounts: Handle<UserRegistry>,
    pub(super) deps: Platform,
    pub(super) limits: LoginLimits,
    tokens: Arc<Tokens>,
    pub(super) refresh_lifetime: Duration,
    reuse_grace: Duration,
}

impl LoginService {
    pub(super) fn new(
        settings: &Settings,
        accounts: Handle<UserRegistry>,
        deps: Platform,
        tokens: Arc<Tokens>,
    ) -> Self {
        let &Settings { refresh_lifetime, reuse_grace, limits, .. } = settings;
        Self { accounts, deps, limits, tokens, refresh_lifetime, reuse_grace }
    }

    /// Reads the user of an access token, and marks its generation as used.
    pub(super) async fn authenticate(
        &self,
        Authenticate { user, token }: Authenticate,
    ) -> Result<AuthenticatedUser, TokenError> {
        let (epoch, user, mut login) = self.read(user, token.login).await?;
        if token.generation > login.generation {
            return Err(TokenError::Invalid);
        }
        if token.generation > login.used_generation {
            self.mark_used(&mut login, token.generation).await?;
        }
        Ok(AuthenticatedUser { login: login.id, user: self.cache(epoch, login, user) })
    }

    /// Returns the user of a login that has neither ended nor expired.
    pub(super) async fn get_logged_in_user(
        &self,
        GetLoggedInUser { user, login }: GetLoggedInUser,
    ) -> Result<Arc<User>, TokenError> {
        let (epoch, user, login) = self.read(user, login).await?;
        if !login.is_live(self.deps.clock.now()) {
            return Err(TokenError::Invalid);
        }
        Ok(self.cache(epoch, login, user))
    }

    /// Reads an active user and one of their logins that has not ended. The user is read first: a change that ends a login bumps the
    /// user's revision, so if the login ends between the two reads, the revision that was read is old, and the cache entry counts as stale.
    async fn read(&self, user: UserId, login: LoginId) -> Result<(ReadEpoch, User, Login), TokenError> {
        let epoch = self.deps.auth_cache.epoch();
        let user = self.accounts.ask(GetUser { id: user }).await?.ok_or(TokenError::Invalid)?;
        let login = self.find(login).await?.ok_or(TokenError::Invalid)?;
        let is_valid = user.status == Status::Active && login.user_id == user.id && login.ended_at.is_none();
        if is_valid { Ok((epoch, user, login)) } else { Err(TokenError::Invalid) }
    }

    fn cache(&self, epoch: ReadEpoch, login: Login, user: User) -> Arc<User> {
        let (login, user) = (Arc::new(login), Arc::new(user));
        self.deps.auth_cache.insert_if_current(epoch, &login, &user);
        user
    }

    async fn mark_used(&self, login: &mut Login, generation: i64) -> Result<(), StoreError> {
        let mut tx = self.deps.db.begin().await?;
        store::mark_used(&mut tx, login.id, generation, self.deps.clock.now()).await?;
        tx.commit().await?;
        login.used_generation = generation;
        Ok(())
    }

    /// Rotates, reissues, or ends the login: see [`decide_refresh`].
    pub(super) async fn refresh(
        &self,
        RefreshTokens { refresh_token }: RefreshTokens,
    ) -> Result<TokenPair, TokenError> {
        let token = self.tokens.read_refresh(refresh_token.expose_secret()).ok_or(TokenError::Invalid)?;
        let mut tx = self.deps.db.begin().await?;
        let (now, lifetime) = (self.deps.clock.now(), self.refresh_lifetime);
        let rotated = store::rotate(&mut tx, token.login, token.generation, now, lifetime).await?;
        tx.commit().await?;
        let login = match rotated {
            Some(login) => login,
            None => self.reissue(token).await?,
        };
        let user = self.accounts.ask(GetUser { id: login.user_id }).await?.ok_or(TokenError::Invalid)?;
        if user.status != Status::Active {
            return Err(TokenError::Invalid);
        }
        Ok(self.token_pair(&login, user))
    }

    async fn reissue(&self, token: TokenRef) -> Result<Login, TokenError> {
        let login = self.find(token.login).await?.ok_or(TokenError::Invalid)?;
        match decide_refresh(&login, token.generation, self.deps.clock.now(), self.reuse_grace) {
            RefreshDecision::Reissue => Ok(login),
            RefreshDecision::Rotate | RefreshDecision::Invalid => Err(TokenError::Invalid),
            RefreshDecision::ReuseDetected => {
                tracing::warn!(login = %login.id, user = %login.user_id, "replaced refresh token was reused; the login was ended");
                self.end(login.user_id, login.id).await?;
                Err(TokenError::Invalid)
            }
        }
    }

    pub(super) async fn end_login(&self, EndLogin { user, login }: EndLogin) -> Result<bool, LoginError> {
        Ok(self.end(user, login).await?)
    }

    /// Invalidates the login although it may have ended before: the caller may ask again because a reply was lost.
    async fn end(&self, user: UserId, login: LoginId) -> Result<bool, StoreError> {
        let mut tx = self.deps.db.begin().await?;
        let ended = store::end(&mut tx, user, login, self.deps.clock.now()).await?;
        self.deps.auth_cache.commit(tx, [Invalidation::Login(login)]).await?;
        Ok(ended)
    }

    pub(super) async fn end_all(&self, EndAllLogins { user }: EndAllLogins) -> Result<(), LoginError> {
        let mut tx = self.deps.db.begin().await?;
        let ended = store::end_all(&mut tx, user, None, self.deps.clock.now()).await?;
        Ok(self.deps.auth_cache.commit(tx, ended.into_iter().map(Invalidation::Login)).await?)
    }

    pub(super) async fn list(&self, ListLogins { user, current }: ListLogins) -> Result<Vec<LoginSummary>, LoginError> {
        let mut reader = self.deps.db.read_conn().await?;
        let logins = store::list_live(reader.connection(), user, self.deps.clock.now()).await?;
        Ok(logins.into_iter().map(|login| to_summary(login, current)).collect())
    }

    pub(super) async fn find_login(&self, FindLogin { login }: FindLogin) -> Result<Option<Login>, LoginError> {
        Ok(self.find(login).await?)
    }

    pub(super) async fn find(&self, login: LoginId) -> Result<Option<Login>, StoreError> {
        store::find(self.deps.db.read_conn().await?.connection(), login).await
    }

    pub(super) fn token_pair(&self, login: &Login, user: User) -> TokenPair {
        TokenPair {
            access_token: self.tokens.access(login, &user),
            refresh_token: self.tokens.refresh(login),
            device_token: self.tokens.device(login),
            expires_in: self.tokens.access_seconds(),
            user: Arc::new(user),
        }
    }
}

fn to_summary(login: Login, current: LoginId) -> LoginSummary {
    let Login { id, device, client_ip, created_at, last_used_at, .. } = login;
    LoginSummary { current: id == current, id, device, client_ip, created_at, last_used_at }
}
