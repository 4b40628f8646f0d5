//! Logins from the first password to the last reuse of a token, on both databases.

use std::time::Duration;

use faceofmind_domain::{
    accounts::UpdateUser,
    logins::{EndAllLogins, EndLogin, ListLogins, LoginError, RefreshTokens, TokenError, TokenPair},
};
use faceofmind_model::{
    LoginId, Status, UserChange, UserId,
    event::{EventContext, Initiator},
};

use crate::support::{PASSWORD, TestContext, client, contexts, until};

mod ending;
mod logging_in;
mod nodes;
mod refreshing;

const ADA: &str = "ada@example.org";

impl TestContext {
    async fn login_of(&self, logged_in: &TokenPair) -> LoginId {
        self.system.modules.authenticator.authenticate(&logged_in.access_token).await.expect("is good").login
    }

    async fn end(&self, user: UserId, login: LoginId) -> Result<bool, LoginError> {
        self.system.modules.logins.ask(EndLogin { user, login }).await
    }

    async fn end_all(&self, user: UserId) {
        self.system.modules.logins.ask(EndAllLogins { user }).await.expect("ends");
    }

    async fn suspend(&self, user: UserId) {
        let change = UserChange::status(Status::Suspended);
        let update =
            UpdateUser { user, change, require_user_role: false, events: EventContext::new(Initiator::System) };
        self.system.modules.accounts.ask(update).await.expect("suspends");
    }
}
