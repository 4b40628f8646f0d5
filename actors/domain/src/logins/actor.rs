//! The actor: the work on logins in progress, and the subscription to other nodes' invalidations.

use std::{convert::Infallible, sync::Arc, time::Duration};

use faceofmind_platform::{Platform, auth_cache, rate_limit::Limit};
use faceofmind_runtime::{
    BackgroundTask, ChildSpec, Handle, Handler, ReplyTo, Service, ServiceActor, answer_with_service,
};
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

/// After a panic of the subscription to invalidations.
const RESUBSCRIBE_DELAY: Duration = Duration::from_secs(1);

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
    /// In ten minutes, from one device that the account knows, or else from one network.
    pub per_client: Limit,
    /// In a day, from all networks together that the account does not know. Known devices and networks are not limited by it, so that strangers
    /// cannot lock out the user.
    pub unknown_clients: Limit,
    /// In a day, from one device or network that the account knows: others share a network, and a device may be stolen.
    pub per_known_client: Limit,
}

/// What is observable beside the requests.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    /// Logins in the cache.
    pub cached_logins: u64,
    /// Invalidations of the cache since the start of the process, also by other nodes.
    pub invalidations: u64,
}

pub type LoginRegistry = ServiceActor<LoginService>;

impl LoginService {
    /// Returns the actor's handle, the authenticator, and the actor to supervise.
    pub fn actor(
        settings: Settings,
        accounts: Handle<UserRegistry>,
        deps: Platform,
    ) -> (Handle<LoginRegistry>, Authenticator, ChildSpec) {
        let Platform { auth_cache: cache, clock, rng, .. } = deps.clone();
        let tokens = Arc::new(Tokens::new(settings.tokens.clone(), clock.clone(), rng));
        let service = Self::new(&settings, accounts, deps, Arc::clone(&tokens));
        let (registry, child) = LoginRegistry::new(Arc::new(service));
        (registry.clone(), Authenticator { tokens, cache, clock, registry }, child)
    }
}

impl Service for LoginService {
    const NAME: &str = "logins";
    const CAPACITY: usize = 4096;
    type Status = Status;

    fn status(&self) -> Status {
        let cache = &self.deps.auth_cache;
        Status { cached_logins: cache.cached_logins(), invalidations: cache.invalidations() }
    }

    /// The subscription to the invalidations of other nodes. Its run ends only by a panic.
    fn background_tasks(self: &Arc<Self>) -> Vec<BackgroundTask> {
        let Platform { auth_cache: cache, clock, rng, .. } = &self.deps;
        let Some(nats) = cache.nats() else { return Vec::new() };
        let (time, context) = ((clock.clone(), rng.clone()), (nats.clone(), cache.clone()));
        vec![BackgroundTask::spawn(
            "login_invalidations",
            RESUBSCRIBE_DELAY,
            time,
            context,
            |(nats, cache)| async move {
                auth_cache::subscribe(nats, cache).await;
                Ok::<_, Infallible>(())
            },
        )]
    }
}

impl Handler<PasswordLogin> for LoginRegistry {
    fn handle(&mut self, message: PasswordLogin, reply: ReplyTo<PasswordLogin>) {
        self.run_while_awaited(reply, |service| async move { service.log_in(message).await });
    }
}

impl Handler<VerifyPassword> for LoginRegistry {
    fn handle(&mut self, message: VerifyPassword, reply: ReplyTo<VerifyPassword>) {
        self.run_while_awaited(reply, |service| async move { service.verify_password(message).await });
    }
}

// The database serialises concurrent requests for one login or user.
answer_with_service! {
    LoginService;
    RefreshTokens => refresh,
    Authenticate => authenticate,
    GetLoggedInUser => get_logged_in_user,
    EndLogin => end_login,
    EndAllLogins => end_all,
    ListLogins => list,
    FindLogin => find_login,
}
