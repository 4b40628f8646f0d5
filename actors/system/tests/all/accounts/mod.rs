//! What may become of an account, on both databases.

use super::*;
use crate::support::{PASSWORD, World, client, email, secret, worlds};
use faceofmind_domain::logins::LogInError;
use faceofmind_model::event::Initiator;

mod accounts;
mod addresses;
mod claims;
mod concurrency;
mod listing;
mod passwords;
mod sweeping;

const ADA: &str = "ada@example.org";

fn by_admin() -> EventContext {
    EventContext::new(Initiator::Admin(UserId(1)))
}

impl World {
    async fn set_status(&self, user: UserId, status: Status) -> Result<User, ChangeError> {
        self.house.registry.change(user, AccountChange::of_status(status, false), by_admin()).await
    }

    async fn id_of(&self, who: &str) -> UserId {
        self.credentials(who).await.user.id
    }

    async fn credentials(&self, who: &str) -> Credentials {
        self.house.registry.credentials(&email(who)).await.expect("reads").expect("there is one")
    }
}
