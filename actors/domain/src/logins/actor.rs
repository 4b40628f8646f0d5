//! The actor: the work on logins in progress, the subscription to other nodes' invalidations, and the sweep.

use std::{sync::Arc, time::Duration};

use faceofmind_platform::{Platform, auth_cache, rate_limit::Limit};
use faceofmind_runtime::{Actor, ChildSpec, Handle, Handler, ReplyTo, TaskSet, answer_with_service};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Authenticator, EndAllLogins, EndLogin, FindLogin, ListLogins, PasswordLogin, RefreshTokens, TokenSettings,
    VerifyPassword,
    messages::{Authenticate, GetLoggedInUser},
    service::LoginService,
    tokens::Tokens,
};
use crate::accounts::UserRegistry;

const NAME: &str = "logins";
const CAPACITY: usize = 4096;
const DEADLINE: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub struct Settings {
    /// The lifetime of a refresh token from its rotation.
    pub refresh_lifetime: Duration,
    /// How long a replaced refresh token is accepted although its successor has been used.
    pub reuse_grace: Duration,
    pub limits: LoginLimits,
    pub tokens: TokenSettings,
}

/// How many wrong passwords are accepted for one account.
#[derive(Clone, Copy, Debug)]
pub struct LoginLimits {
    /// From one client.
    pub per_client: Limit,
    /// From all clients together that the account was never logged in from. Other clients are not limited by it, so that strangers cannot
    /// lock out the user.
    pub unknown_clients: Limit,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    /// Requests in progress.
    pub in_progress: usize,
    /// Logins in the cache.
    pub cached_logins: u64,
    /// Invalidations of the cache since the start of the process, also by other nodes.
    pub invalidations: u64,
    /// Requests that panicked since the actor started.
    pub panics: u64,
}

pub struct LoginRegistry {
    service: Arc<LoginService>,
    tasks: TaskSet,
    /// Never ends by itself, so a stop does not wait for it.
    _subscription: TaskSet,
}

impl LoginRegistry {
    /// Returns the handle, the authenticator, and the actor to supervise.
    pub fn new(
        settings: Settings,
        accounts: Handle<UserRegistry>,
        deps: Platform,
    ) -> (Handle<Self>, Authenticator, ChildSpec) {
        let handle = Handle::new(NAME, CAPACITY, DEADLINE);
        let tokens = Arc::new(Tokens::new(settings.tokens.clone(), deps.clock.clone(), deps.rng.clone()));
        let authenticator = Authenticator {
            tokens: Arc::clone(&tokens),
            cache: deps.auth_cache.clone(),
            clock: deps.clock.clone(),
            registry: handle.clone(),
        };
        let service = Arc::new(LoginService::new(&settings, accounts, deps, tokens));
        let child = ChildSpec::ready(handle.clone(), move || Self::start(Arc::clone(&service)));
        (handle, authenticator, child)
    }

    fn start(service: Arc<LoginService>) -> Self {
        let cache = &service.deps.auth_cache;
        let mut subscription = TaskSet::default();
        if let Some(nats) = cache.nats() {
            subscription.spawn(auth_cache::subscribe(nats.clone(), cache.clone()));
        }
        Self { service, tasks: TaskSet::default(), _subscription: subscription }
    }
}

impl Actor for LoginRegistry {
    type Status = Status;

    fn status(&self) -> Status {
        let cache = &self.service.deps.auth_cache;
        Status {
            in_progress: self.tasks.len(),
            cached_logins: cache.cached_logins(),
            invalidations: cache.invalidations(),
            panics: self.tasks.panics(),
        }
    }

    async fn on_stop(&mut self) {
        self.tasks.join_all().await;
    }
}

impl Handler<PasswordLogin> for LoginRegistry {
    fn handle(&mut self, message: PasswordLogin, reply: ReplyTo<PasswordLogin>) {
        let service = Arc::clone(&self.service);
        self.tasks.spawn_while_awaited(reply, async move { service.log_in(message).await });
    }
}

impl Handler<VerifyPassword> for LoginRegistry {
    fn handle(&mut self, message: VerifyPassword, reply: ReplyTo<VerifyPassword>) {
        let service = Arc::clone(&self.service);
        self.tasks.spawn_while_awaited(reply, async move { service.verify_password(message).await });
    }
}

// The database serialises concurrent requests for one login or user.
answer_with_service! {
    LoginRegistry;
    RefreshTokens => refresh,
    Authenticate => authenticate,
    GetLoggedInUser => get_logged_in_user,
    EndLogin => end_login,
    EndAllLogins => end_all,
    ListLogins => list,
    FindLogin => find_login,
}
