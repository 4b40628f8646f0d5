//! What the sweep deletes and what it keeps.

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

impl World {
    /// The actor sweeps when it starts.
    async fn sweep(&self) {
        self.kill("user_registry").await;
    }

    async fn users(&self) -> i64 {
        self.number("SELECT count(*) FROM users").await
    }
}

#[tokio::test]
async fn accounts_never_verified_are_erased_30_days_after_their_last_registration() {
    for world in worlds().await {
        world.register("old@example.org", PASSWORD, "phone").await;
        world.register(ADA, PASSWORD, "phone").await;
        let old = world.id_of("old@example.org").await;
        world.person("bob@example.org").await;
        world.advance(29 * DAY);
        world.register(ADA, PASSWORD, "phone").await;
        world.sweep().await;
        world.advance(2 * DAY);
        assert_eq!(world.users().await, 3, "it is not time yet");
        world.sweep().await;
        until("the old one is erased", async || world.users().await == 2).await;
        assert_eq!(world.event_names(old).await, ["user.deleted"], "its earlier events are erased");
        world.credentials(ADA).await;
        world.credentials("bob@example.org").await;
    }
}

#[tokio::test]
async fn an_account_that_was_active_once_is_never_swept() {
    for world in worlds().await {
        world.register(ADA, PASSWORD, "phone").await;
        let ada = world.id_of(ADA).await;
        world.set_status(ada, Status::Active).await.expect("activates");
        world.set_status(ada, Status::Inactive).await.expect("sets back");
        world.register(ADA, PASSWORD, "phone").await;
        world.register("old@example.org", PASSWORD, "phone").await;
        world.advance(60 * DAY);
        world.sweep().await;
        until("the old one is erased", async || world.users().await == 1).await;
        world.credentials(ADA).await;
    }
}

#[tokio::test]
async fn registrations_of_active_accounts_are_deleted_after_a_day() {
    for world in worlds().await {
        world.person(ADA).await;
        world.register(ADA, PASSWORD, "stranger").await;
        world.register("bob@example.org", PASSWORD, "phone").await;
        assert_eq!(world.number("SELECT count(*) FROM claims").await, 2);
        world.advance(2 * DAY);
        world.sweep().await;
        until("the registration of the active account is deleted", async || {
            world.number("SELECT count(*) FROM claims").await == 1
        })
        .await;
    }
}
