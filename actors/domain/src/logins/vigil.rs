//! Whether a log-in still counts, for what goes on longer than a request.

use std::{sync::Arc, time::Duration};

use faceofmind_runtime::legacy::Failure;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::timeout,
};

use super::{Change, LoginId, Logins, Message};
use faceofmind_model::user::{Role, Status, User, UserId};

/// How often to look although nothing was told: a log-in may expire, and other nodes may have no way to tell.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Watches one log-in.
pub struct Vigil {
    logins: Logins,
    login: LoginId,
    user: UserId,
    role: Role,
    changes: Receiver<Change>,
}

impl Logins {
    /// Watches the log-in of a user who has just been identified by it.
    pub fn watch(&self, login: LoginId, user: &User) -> Vigil {
        let changes = self.ledger.views.subscribe();
        Vigil { logins: self.clone(), login, user: user.id, role: user.role, changes }
    }

    /// The user, if the log-in has neither ended nor expired.
    async fn live(&self, user: UserId, login: LoginId) -> Result<Option<Arc<User>>, Failure> {
        match self.ledger.views.get(login) {
            Some((login, user)) if login.is_live(self.ledger.clock.now()) => Ok(Some(user)),
            _ => self.address.ask(|reply| Message::Live { user, login, reply }).await,
        }
    }
}

impl Vigil {
    /// Waits until the log-in does not count any more: it has ended or expired, or its user may not log in, or has another role. What
    /// cannot be looked up does not count either.
    pub async fn over(mut self) {
        while self.counts().await {
            self.changed().await;
        }
    }

    async fn counts(&self) -> bool {
        match self.logins.live(self.user, self.login).await {
            Ok(live) => live.is_some_and(|user| user.status == Status::Active && user.role == self.role),
            Err(failure) => {
                tracing::warn!(%failure, "a log-in could not be looked up: what it was used for ends");
                false
            }
        }
    }

    /// Waits for a change that may concern this log-in, but not for long.
    async fn changed(&mut self) {
        let (login, user) = (self.login, self.user);
        let concerns = |change: Result<Change, RecvError>| match change {
            Ok(Change::Login(changed)) => changed == login,
            Ok(Change::User(changed)) => changed == user,
            Ok(Change::Anything) | Err(_) => true,
        };
        let told = async { while !concerns(self.changes.recv().await) {} };
        drop(timeout(LOOK_EVERY, told).await);
    }
}
