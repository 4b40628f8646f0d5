//! What the sweep deletes and what it keeps.

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

impl TestContext {
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
    for test in contexts().await {
        test.register("old@example.org", PASSWORD, "phone").await;
        test.register(ADA, PASSWORD, "phone").await;
        let old = test.id_of("old@example.org").await;
        test.person("bob@example.org").await;
        test.advance(29 * DAY);
        test.register(ADA, PASSWORD, "phone").await;
        test.sweep().await;
        test.advance(2 * DAY);
        assert_eq!(test.users().await, 3, "it is not time yet");
        test.sweep().await;
        until("the old one is erased", async || test.users().await == 2).await;
        assert_eq!(test.event_names(old).await, ["user.deleted"], "its earlier events are erased");
        test.credentials(ADA).await;
        test.credentials("bob@example.org").await;
    }
}

#[tokio::test]
async fn an_account_that_was_active_once_is_never_swept() {
    for test in contexts().await {
        test.register(ADA, PASSWORD, "phone").await;
        let ada = test.id_of(ADA).await;
        test.set_status(ada, Status::Active).await.expect("activates");
        test.set_status(ada, Status::Inactive).await.expect("sets back");
        test.register(ADA, PASSWORD, "phone").await;
        test.register("old@example.org", PASSWORD, "phone").await;
        test.advance(60 * DAY);
        test.sweep().await;
        until("the old one is erased", async || test.users().await == 1).await;
        test.credentials(ADA).await;
    }
}

#[tokio::test]
async fn registrations_of_active_accounts_lapse_as_those_of_new_ones_do() {
    for test in contexts().await {
        test.person(ADA).await;
        test.register(ADA, PASSWORD, "stranger").await;
        test.register("bob@example.org", PASSWORD, "phone").await;
        test.advance(29 * DAY);
        test.register("eve@example.org", PASSWORD, "phone").await;
        test.sweep().await;
        assert_eq!(test.number("SELECT count(*) FROM claims").await, 3);
        test.advance(2 * DAY);
        test.sweep().await;
        until("the registrations of both addresses are deleted", async || {
            test.number("SELECT count(*) FROM claims").await == 1
        })
        .await;
        assert_eq!(test.users().await, 2);
    }
}

/// Another program may set any of its accounts back to `inactive`, and it recorded nowhere that the address was verified.
#[tokio::test]
async fn an_account_of_another_program_is_never_swept() {
    for test in contexts().await {
        let renamed = insert_user(&test.db, ADA).await;
        test.change(renamed, UserChange { first_name: Some("Ada M.".into()), ..UserChange::default() })
            .await
            .expect("renames");
        let registered_again = insert_user(&test.db, "eve@example.org").await;
        test.run("UPDATE users SET status = 'inactive'").await;
        test.register("eve@example.org", PASSWORD, "phone").await;
        test.register("old@example.org", PASSWORD, "phone").await;
        test.advance(60 * DAY);
        test.sweep().await;
        until("the account of this program is erased", async || test.users().await == 2).await;
        for kept in [renamed, registered_again] {
            assert_eq!(test.number(&format!("SELECT count(*) FROM users WHERE id = {kept}")).await, 1);
        }
        until("the lapsed registration is deleted", async || test.number("SELECT count(*) FROM claims").await == 0)
            .await;
    }
}
