//! Whether a login is still valid, for work that outlasts a request.

use std::time::Duration;

use faceofmind_model::{LoginId, Role, Status, User, UserId};
use faceofmind_platform::auth_cache::Invalidation;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::timeout,
};

use super::{Authenticator, TokenError};

/// How often to check without an invalidation: a login may expire, and other nodes may be unable to send invalidations.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Watches one login.
pub struct LoginWatch {
    authenticator: Authenticator,
    invalidations: Receiver<Invalidation>,
    login: LoginId,
    user: UserId,
    role: Role,
}

impl LoginWatch {
    pub(super) fn new(
        authenticator: Authenticator,
        invalidations: Receiver<Invalidation>,
        login: LoginId,
        user: &User,
    ) -> Self {
        Self { authenticator, invalidations, login, user: user.id, role: user.role }
    }

    /// Waits until the login has ended or expired, the user is not active or has another role, or the login cannot be read.
    pub async fn until_invalid(mut self) {
        while self.is_valid().await {
            self.invalidated().await;
        }
    }

    async fn is_valid(&self) -> bool {
        match self.authenticator.logged_in_user(self.user, self.login).await {
            Ok(user) => user.status == Status::Active && user.role == self.role,
            Err(TokenError::Invalid) => false,
            Err(error) => {
                tracing::warn!(%error, "login could not be read; the stream that it opened was ended");
                false
            }
        }
    }

    /// Waits for an invalidation that may concern this login, for [`POLL_INTERVAL`] at most.
    async fn invalidated(&mut self) {
        let (login, user) = (self.login, self.user);
        let concerns = |invalidation: Result<Invalidation, RecvError>| match invalidation {
            Ok(Invalidation::Login(changed)) => changed == login,
            Ok(Invalidation::User(changed)) => changed == user,
            Ok(Invalidation::All) | Err(_) => true,
        };
        let invalidated = async { while !concerns(self.invalidations.recv().await) {} };
        drop(timeout(POLL_INTERVAL, invalidated).await);
    }
}
