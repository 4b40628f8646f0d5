//! Logins from the first password to the last reuse of a token, on both databases.

use std::time::Duration;

use faceofmind_domain::{
    accounts::AccountChange,
    logins::{EndAllLogins, EndLogin, ListLogins, LoginError, RefreshTokens, TokenError, TokenPair},
};
use faceofmind_model::{
    LoginId, Status, UserId,
    event::{EventContext, Initiator},
};

use crate::support::{PASSWORD, World, client, until, worlds};

mod ending;
mod logging_in;
mod nodes;
mod refreshing;

const ADA: &str = "ada@example.org";

impl World {
    async fn refresh(&self, refresh_token: &str) -> Result<TokenPair, TokenError> {
        self.system.logins.ask(RefreshTokens { refresh_token: refresh_token.into() }).await
    }

    async fn login_of(&self, logged_in: &TokenPair) -> LoginId {
        self.system.authenticator.authenticate(&logged_in.access_token).await.expect("is good").login
    }

    async fn end(&self, user: UserId, login: LoginId) -> Result<bool, LoginError> {
        self.system.logins.ask(EndLogin { user, login }).await
    }

    async fn end_all(&self, user: UserId) {
        self.system.logins.ask(EndAllLogins { user }).await.expect("ends");
    }

    async fn suspend(&self, user: UserId) {
        let change = AccountChange::of_status(Status::Suspended, false);
        self.system.registry.change(user, change, EventContext::new(Initiator::System)).await.expect("suspends");
    }
}
