//! Log-ins from the first password to the last replay, on both databases.

use super::*;
use crate::{
    mailer::Transport,
    publisher::{Cause, Origin},
    testing::{self, PASSWORD, World, bounds, client, email, new_folder, secret, until, worlds},
    user_registry::{AccountChange, Status},
};

mod ending;
mod logging_in;
mod nodes;
mod refreshing;

const ADA: &str = "ada@example.org";

impl World {
    async fn refresh(&self, refresh_token: &str) -> Result<LoggedIn, BearerError> {
        self.house.logins.refresh(refresh_token).await
    }

    async fn suspend(&self, user: UserId) {
        let change = AccountChange::of_status(Status::Suspended, false);
        self.house.registry.change(user, change, Origin::new(Cause::System)).await.expect("suspends");
    }
}
