//! What admins, and users themselves, do to accounts.

use super::*;
use faceofmind_domain::sessions::{CommandContext, StartSession};
use faceofmind_platform::idempotency::Answer as StoredResponse;
use faceofmind_platform::mail::Queue;

impl World {
    async fn change(&self, user: UserId, change: AccountChange) -> Result<User, ChangeError> {
        self.house.registry.change(user, change, by_admin()).await
    }

    async fn remove(&self, user: UserId) -> Result<(), ChangeError> {
        self.house.registry.delete(user, by_admin()).await
    }
}

fn role(role: Role) -> AccountChange {
    AccountChange { role: Some(role), ..AccountChange::default() }
}

#[tokio::test]
async fn the_last_active_admin_stays() {
    for world in worlds().await {
        let (root, spare) = (world.admin("root@example.org").await.id, world.admin("spare@example.org").await.id);
        world.set_status(spare, Status::Suspended).await.expect("one is left");
        for status in [Status::Suspended, Status::Deactivated, Status::Inactive] {
            assert!(matches!(world.set_status(root, status).await, Err(ChangeError::LastAdmin)), "{status:?}");
        }
        assert!(matches!(world.change(root, role(Role::User)).await, Err(ChangeError::LastAdmin)));
        assert!(matches!(world.remove(root).await, Err(ChangeError::LastAdmin)));
        world.log_in("root@example.org", PASSWORD).await.expect("nothing has changed");
        world.set_status(spare, Status::Active).await.expect("activates");
        world.remove(root).await.expect("another is left");
    }
}

#[tokio::test]
async fn what_ends_an_active_account_ends_its_log_ins_at_once() {
    for world in worlds().await {
        for (who, status) in [
            ("a@example.org", Status::Suspended),
            ("b@example.org", Status::Deactivated),
            ("c@example.org", Status::Inactive),
        ] {
            let logged_in = world.logged_in(who).await;
            assert!(world.is_good(&logged_in).await);
            world.set_status(logged_in.user.id, status).await.expect("changes");
            assert!(!world.is_good(&logged_in).await, "{status:?}");
            world.set_status(logged_in.user.id, Status::Active).await.expect("activates");
            assert!(!world.is_good(&logged_in).await, "what has ended stays ended");
            assert!(world.house.logins.refresh(&logged_in.refresh_token).await.is_err());
        }
    }
}

#[tokio::test]
async fn an_event_tells_what_has_changed_and_nothing_else() {
    for world in worlds().await {
        let ada = world.person(ADA).await;
        let name = AccountChange { first_name: Some("Augusta".into()), ..AccountChange::default() };
        let renamed = world.change(ada.id, name.clone()).await.expect("changes");
        assert_eq!((renamed.first_name.as_str(), renamed.revision), ("Augusta", ada.revision + 1));
        assert_eq!(world.change(ada.id, name).await.expect("changes nothing"), renamed);
        world.set_status(ada.id, Status::Suspended).await.expect("suspends");
        let both = AccountChange { status: Some(Status::Active), ..role(Role::Professional) };
        world.change(ada.id, both).await.expect("changes");
        let told = world.told(ada.id).await;
        let changes = ["user.updated", "user.status_changed", "user.updated", "user.status_changed"].map(str::to_owned);
        assert_eq!(told[2..], changes);
    }
}

#[tokio::test]
async fn only_accounts_of_users_are_closed_by_a_click() {
    for world in worlds().await {
        let (root, ada) = (world.admin("root@example.org").await.id, world.person(ADA).await.id);
        let close = AccountChange::of_status(Status::Deactivated, true);
        assert!(matches!(world.change(root, close.clone()).await, Err(ChangeError::OnlyUsers)));
        assert_eq!(world.change(ada, close.clone()).await.expect("closes").status, Status::Deactivated);
        assert_eq!(world.change(ada, close).await.expect("twice is once").status, Status::Deactivated);
        assert!(matches!(world.change(UserId(999_999), role(Role::User)).await, Err(ChangeError::NotFound)));
    }
}

#[tokio::test]
async fn a_user_who_is_deleted_takes_everything_along() {
    for world in worlds().await {
        let ada = world.logged_in(ADA).await;
        let sessions = &world.house.sessions;
        let context = CommandContext { user: ada.user.id, event: by_admin(), key: None };
        let respond = |_| StoredResponse { status: 201, body: String::new() };
        sessions.ask(StartSession { context, respond }).await.expect("starts");
        // Asked for with nothing but the address, and not sent yet.
        world.run("ALTER TABLE codes RENAME TO mislaid").await;
        world.house.registry.request_reset(&email(ADA), &client("phone")).await.expect("is taken");
        world.house.registry.delete(ada.user.id, by_admin()).await.expect("deletes");
        world.run("ALTER TABLE mislaid RENAME TO codes").await;
        for table in ["users", "user_profiles", "claims", "logins", "sessions", "mail_intents"] {
            assert_eq!(world.number(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
        }
        assert!(!world.is_good(&ada).await);
        assert_eq!(world.house.mailer.count().await.expect("counts"), Queue { waiting: 0, dead: 0 });
        let told = world.told(ada.user.id).await;
        assert_eq!(told.last().map(String::as_str), Some("user.deleted"));
        world.register(ADA, PASSWORD, "phone").await;
        assert_ne!(world.id_of(ADA).await, ada.user.id);
    }
}

#[tokio::test]
async fn an_address_has_one_account() {
    for world in worlds().await {
        world.register(ADA, PASSWORD, "phone").await;
        let new = NewAdmin { email: email(ADA), first_name: "A".into(), last_name: "B".into() };
        let refused = world.house.registry.create_admin(new, secret("another password")).await;
        assert!(matches!(refused, Err(ChangeError::Taken)));
        let ada = world.credentials(ADA).await.user;
        assert_eq!((ada.role, ada.status), (Role::User, Status::Inactive), "nothing is half-written");
    }
}

/// A user of the predecessor has nothing beside the row until it is first changed.
#[tokio::test]
async fn a_user_of_the_predecessor_logs_in_and_is_changed_like_any_other() {
    for world in worlds().await {
        let ada = world.person(ADA).await.id;
        world.run("DELETE FROM user_profiles").await;
        let logged_in = world.log_in(ADA, PASSWORD).await.expect("logs in");
        assert!(world.is_good(&logged_in).await);
        world.register(ADA, "a stranger's password", "stranger").await;
        world.log_in(ADA, PASSWORD).await.expect("a stranger changes nothing");
        world.run("DELETE FROM user_profiles").await;
        world.set_status(ada, Status::Suspended).await.expect("suspends");
        assert!(!world.is_good(&logged_in).await);
        world.set_status(ada, Status::Active).await.expect("activates");
        world.log_in(ADA, PASSWORD).await.expect("logs in");
    }
}
