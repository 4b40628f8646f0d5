//! Log-ins from the first password to the last replay, on both databases.

use super::*;
use crate::support;
use crate::support::{PASSWORD, World, bounds, client, email, new_folder, secret, until, worlds};
use faceofmind_domain::accounts::AccountChange;
use faceofmind_model::event::{EventContext, Initiator};
use faceofmind_model::user::Status;
use faceofmind_platform::mail::Transport;

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
        self.house.registry.change(user, change, EventContext::new(Initiator::System)).await.expect("suspends");
    }
}
