//! Whether an access token is valid, and which user it belongs to.

use std::sync::Arc;

use faceofmind_base::Clock;
use faceofmind_model::{LoginId, User, UserId};
use faceofmind_platform::auth_cache::AuthCache;
use faceofmind_runtime::Handle;

use super::{
    LoginRegistry, LoginWatch, TokenError,
    messages::{Authenticate, GetLoggedInUser},
    tokens::{TokenRef, Tokens},
};

/// Authenticates access tokens: from the cache without I/O, or else by asking the login registry. Clones share the cache.
#[derive(Clone)]
pub struct Authenticator {
    pub(super) tokens: Arc<Tokens>,
    pub(super) cache: AuthCache,
    pub(super) clock: Clock,
    pub(super) registry: Handle<LoginRegistry>,
}

/// An active user, and the login whose token was presented.
#[derive(Clone, Debug)]
pub struct AuthenticatedUser {
    /// As last read.
    pub user: Arc<User>,
    pub login: LoginId,
}

impl Authenticator {
    /// Returns the user of an access token.
    pub async fn authenticate(&self, access_token: &str) -> Result<AuthenticatedUser, TokenError> {
        let (user, token) = self.tokens.read_access(access_token).ok_or(TokenError::Invalid)?;
        match self.cached(user, token) {
            Some(authenticated) => Ok(authenticated),
            None => self.registry.ask(Authenticate { user, token }).await,
        }
    }

    /// Returns the login of a device token that this service signed. It does not read whose login it is.
    pub fn verify_device(&self, device_token: &str) -> Option<LoginId> {
        self.tokens.read_device(device_token)
    }

    /// Reads the cache. A generation that is not marked as used yet is left to the registry, which marks it.
    fn cached(&self, user: UserId, token: TokenRef) -> Option<AuthenticatedUser> {
        let (login, cached) = self.cache.get(token.login)?;
        let is_used = token.generation <= login.used_generation;
        (is_used && user == cached.id).then(|| AuthenticatedUser { login: login.id, user: cached })
    }

    /// Watches a login, for work that outlasts a request. `user` is the user as just authenticated by it.
    pub fn watch(&self, login: LoginId, user: &User) -> LoginWatch {
        LoginWatch::new(self.clone(), self.cache.watch(), login, user)
    }

    /// Returns the user if the login has neither ended nor expired and the user is active.
    pub(super) async fn logged_in_user(&self, user: UserId, login: LoginId) -> Result<Arc<User>, TokenError> {
        match self.cache.get(login) {
            Some((login, user)) if login.is_live(self.clock.now()) => Ok(user),
            _ => self.registry.ask(GetLoggedInUser { user, login }).await,
        }
    }

    /// Whether the login of a valid access token is in the cache.
    #[cfg(feature = "test-hooks")]
    pub fn is_cached(&self, access_token: &str) -> bool {
        self.tokens.read_access(access_token).is_some_and(|(_, token)| self.cache.get(token.login).is_some())
    }
}
