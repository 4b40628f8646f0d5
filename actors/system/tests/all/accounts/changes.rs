//! Changes by admins, and by users to their own accounts.

use faceofmind_platform::mail::{CountJobs, JobCounts};

use super::*;

impl TestContext {
    async fn delete_user(&self, user: UserId) -> Result<(), AccountError> {
        self.system.modules.accounts.ask(delete(user)).await
    }
}

fn role(role: Role) -> UserChange {
    UserChange { role: Some(role), ..UserChange::default() }
}

#[tokio::test]
async fn the_last_active_admin_stays() {
    for test in contexts().await {
        let (root, spare) = (test.admin("root@example.org").await.id, test.admin("spare@example.org").await.id);
        test.set_status(spare, Status::Suspended).await.expect("one is left");
        for status in [Status::Suspended, Status::Deactivated, Status::Inactive] {
            assert!(matches!(test.set_status(root, status).await, Err(AccountError::LastAdmin)), "{status:?}");
        }
        assert!(matches!(test.change(root, role(Role::User)).await, Err(AccountError::LastAdmin)));
        assert!(matches!(test.delete_user(root).await, Err(AccountError::LastAdmin)));
        test.log_in("root@example.org", PASSWORD).await.expect("nothing has changed");
        test.set_status(spare, Status::Active).await.expect("activates");
        test.delete_user(root).await.expect("another is left");
    }
}

#[tokio::test]
async fn a_status_other_than_active_ends_all_logins_at_once() {
    for test in contexts().await {
        for (address, status) in [
            ("a@example.org", Status::Suspended),
            ("b@example.org", Status::Deactivated),
            ("c@example.org", Status::Inactive),
        ] {
            let logged_in = test.logged_in(address).await;
            assert!(test.is_good(&logged_in).await);
            test.set_status(logged_in.user.id, status).await.expect("changes");
            assert!(!test.is_good(&logged_in).await, "{status:?}");
            test.set_status(logged_in.user.id, Status::Active).await.expect("activates");
            assert!(!test.is_good(&logged_in).await, "an ended login stays ended");
            assert!(test.refresh(&logged_in.refresh_token).await.is_err());
        }
    }
}

#[tokio::test]
async fn an_event_reports_each_change_and_nothing_else() {
    for test in contexts().await {
        let ada = test.person(ADA).await;
        let name = first_name("Augusta");
        let renamed = test.change(ada.id, name.clone()).await.expect("changes");
        assert_eq!((renamed.first_name.as_str(), renamed.revision), ("Augusta", ada.revision + 1));
        assert_eq!(test.change(ada.id, name).await.expect("changes nothing"), renamed);
        test.set_status(ada.id, Status::Suspended).await.expect("suspends");
        let both = UserChange { status: Some(Status::Active), ..role(Role::Professional) };
        test.change(ada.id, both).await.expect("changes");
        let events = test.event_names(ada.id).await;
        let changes = ["user.updated", "user.status_changed", "user.updated", "user.status_changed"].map(str::to_owned);
        assert_eq!(events[2..], changes);
    }
}

#[tokio::test]
async fn an_admin_account_cannot_be_deactivated() {
    for test in contexts().await {
        let (root, ada) = (test.admin("root@example.org").await.id, test.person(ADA).await.id);
        let close = async |user| {
            let closing = update(user, UserChange::status(Status::Deactivated));
            test.system.modules.accounts.ask(UpdateUser { require_user_role: true, ..closing }).await
        };
        assert!(matches!(close(root).await, Err(AccountError::NotAUserAccount)));
        assert_eq!(close(ada).await.expect("closes").status, Status::Deactivated);
        assert_eq!(close(ada).await.expect("changes nothing").status, Status::Deactivated);
        assert!(matches!(test.change(UserId(999_999), role(Role::User)).await, Err(AccountError::NotFound)));
    }
}

#[tokio::test]
async fn deleting_a_user_deletes_everything_that_belongs_to_them() {
    for test in contexts().await {
        let ada = test.logged_in(ADA).await;
        let sessions = &test.system.modules.sessions;
        sessions.ask(start_session(ada.user.id)).await.expect("starts");
        // A mail job that names only the address and has not been sent yet.
        test.run("ALTER TABLE codes RENAME TO mislaid").await;
        test.request_reset(ADA, "phone").await;
        test.system.modules.accounts.ask(delete(ada.user.id)).await.expect("deletes");
        test.run("ALTER TABLE mislaid RENAME TO codes").await;
        for table in ["users", "user_profiles", "claims", "logins", "sessions", "mail_intents"] {
            assert_eq!(test.number(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
        }
        assert!(!test.is_good(&ada).await);
        assert_eq!(
            test.system.platform.mailer.ask(CountJobs).await.expect("counts"),
            JobCounts { waiting: 0, dead: 0 }
        );
        let events = test.event_names(ada.user.id).await;
        assert_eq!(events.last().map(String::as_str), Some("user.deleted"));
        test.register(ADA, PASSWORD, "phone").await;
        assert_ne!(test.id_of(ADA).await, ada.user.id);
    }
}

#[tokio::test]
async fn an_address_has_one_account() {
    for test in contexts().await {
        test.register(ADA, PASSWORD, "phone").await;
        let (password, first_name, last_name) = (secret("another password"), "A".into(), "B".into());
        let refused =
            test.system.modules.accounts.ask(CreateAdmin { email: email(ADA), password, first_name, last_name }).await;
        assert!(matches!(refused, Err(AccountError::EmailTaken)));
        let ada = test.credentials(ADA).await.user;
        assert_eq!((ada.role, ada.status), (Role::User, Status::Inactive), "nothing is half-written");
    }
}

/// A user of the earlier program has no profile row until the first change.
#[tokio::test]
async fn a_user_of_the_earlier_program_logs_in_and_is_changed_like_any_other() {
    for test in contexts().await {
        let ada = test.person(ADA).await.id;
        test.run("DELETE FROM user_profiles").await;
        let logged_in = test.log_in(ADA, PASSWORD).await.expect("logs in");
        assert!(test.is_good(&logged_in).await);
        test.register(ADA, "a stranger's password", "stranger").await;
        test.log_in(ADA, PASSWORD).await.expect("a stranger changes nothing");
        test.run("DELETE FROM user_profiles").await;
        test.set_status(ada, Status::Suspended).await.expect("suspends");
        assert!(!test.is_good(&logged_in).await);
        test.set_status(ada, Status::Active).await.expect("activates");
        test.log_in(ADA, PASSWORD).await.expect("logs in");
    }
}
