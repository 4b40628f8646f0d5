//! Logging in, and being kept out.

use super::*;

impl World {
    async fn try_from_address(&self, address: &str, who: &str, password: &str) -> Result<LoggedIn, LogInError> {
        let attempt = Attempt { email: email(who), password: secret(password), client: client(address) };
        self.house.logins.log_in(attempt).await
    }

    async fn counted(&self) -> i64 {
        self.number("SELECT CAST(COALESCE(sum(count), 0) AS bigint) FROM counters").await
    }
}

#[tokio::test]
async fn wrong_passwords_are_counted_alike_for_known_and_unknown_addresses() {
    for world in worlds().await {
        world.person(ADA).await;
        for who in [ADA, "nobody@example.org"] {
            for _ in 0..10 {
                let refused = world.try_from_address("thief", who, "a wrong one").await;
                assert!(matches!(refused, Err(LogInError::BadPair)), "{who}");
            }
            let refused = world.try_from_address("thief", who, PASSWORD).await;
            assert!(matches!(refused, Err(LogInError::TooMany { .. })), "{who}");
        }
        world.try_from_address("phone", ADA, PASSWORD).await.expect("only the thief is kept out");
    }
}

#[tokio::test]
async fn strangers_do_not_lock_an_owner_out() {
    for world in worlds().await {
        world.logged_in(ADA).await;
        for thief in 0..10 {
            for _ in 0..10 {
                let refused = world.try_from_address(&format!("thief {thief}"), ADA, "a wrong one").await;
                assert!(matches!(refused, Err(LogInError::BadPair)));
            }
        }
        let refused = world.try_from_address("one more thief", ADA, "a wrong one").await;
        assert!(matches!(refused, Err(LogInError::TooMany { .. })));
        world.log_in(ADA, PASSWORD).await.expect("is known by this address");
    }
}

#[tokio::test]
async fn right_passwords_are_not_counted_whatever_comes_of_them() {
    for world in worlds().await {
        let ada = world.person(ADA).await;
        world.register("bob@example.org", PASSWORD, "phone").await;
        let before = world.counted().await;
        world.log_in(ADA, PASSWORD).await.expect("logs in");
        assert!(matches!(world.log_in("bob@example.org", PASSWORD).await, Err(LogInError::Inactive)));
        world.suspend(ada.id).await;
        assert!(matches!(world.log_in(ADA, PASSWORD).await, Err(LogInError::Barred(Status::Suspended))));
        assert!(matches!(world.log_in(ADA, "a wrong one").await, Err(LogInError::BadPair)));
        assert_eq!(world.counted().await, before + 1, "the wrong one alone, from an address that is known");
    }
}

#[tokio::test]
async fn who_could_not_be_compared_is_not_counted() {
    for world in worlds().await {
        world.logged_in(ADA).await;
        let before = world.counted().await;
        world.house.tree.child("hasher").expect("is there").panic();
        let failed = world.log_in(ADA, PASSWORD).await;
        assert!(matches!(failed, Err(LogInError::Failed(_))), "{failed:?}");
        assert_eq!(world.counted().await, before);
        let failed = crate::support::client("phone");
        let registration = faceofmind_domain::accounts::Registration {
            email: email("bob@example.org"),
            password: secret(PASSWORD),
            first_name: "Bob".into(),
            last_name: "B".into(),
        };
        until("the hasher is at work again", async || world.log_in(ADA, PASSWORD).await.is_ok()).await;
        world.house.tree.child("hasher").expect("is there").panic();
        assert!(world.house.registry.register(registration, &failed).await.is_err());
        assert_eq!(world.counted().await, before);
    }
}

#[tokio::test]
async fn a_log_in_with_a_new_device_is_mailed_and_one_with_a_known_device_is_not() {
    for world in worlds().await {
        world.logged_in(ADA).await;
        world.log_in(ADA, PASSWORD).await.expect("logs in");
        world.all_is_mailed().await;
        assert_eq!(world.mails(ADA).len(), 1, "the first, and the same again, are no news");
        let new = faceofmind_model::RequestContext { device: "a fridge".into(), ..client("203.0.113.7") };
        let attempt = Attempt { email: email(ADA), password: secret(PASSWORD), client: new };
        world.house.logins.log_in(attempt).await.expect("logs in");
        let mail = world.mail(ADA, 2).await;
        assert!(mail.text.contains("a fridge") && mail.text.contains("203.0.113.7"), "{}", mail.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_first_log_ins_at_once_each_new_device_but_the_first_is_mailed_once() {
    for world in worlds().await {
        let ada = world.person(ADA).await;
        world.all_is_mailed().await;
        let before = world.mails(ADA).len();
        let opening = (0..12).map(|index| {
            let device = ["a phone", "a fridge", "a watch"][index % 3].to_owned();
            let (ledger, user) = (world.house.logins.ledger.clone(), ada.clone());
            tokio::spawn(async move { ledger.open(ledger::Entry { user, device, address: "home".into() }).await })
        });
        for opened in opening.collect::<Vec<_>>() {
            assert!(opened.await.expect("no panic").expect("opens").is_some());
        }
        world.all_is_mailed().await;
        assert_eq!(world.mails(ADA).len(), before + 2);
    }
}

#[tokio::test]
async fn a_hash_of_another_cost_is_made_again() {
    for world in worlds().await {
        world.person(ADA).await;
        let mut dearer = bounds();
        dearer.hasher.cost.memory_kib = 128;
        let later = World::with(world.db.clone(), Transport::files(new_folder()), None, &world.clock, dearer).await;
        later.log_in(ADA, PASSWORD).await.expect("logs in");
        let renewed = "SELECT count(*) FROM users WHERE password LIKE '$argon2id$v=19$m=128,%'";
        assert_eq!(world.number(renewed).await, 1);
        later.log_in(ADA, PASSWORD).await.expect("logs in");
    }
}

/// Proven against a user who has changed since, a password opens nothing.
#[tokio::test]
async fn a_user_who_changes_between_password_and_log_in_is_looked_at_again() {
    for world in worlds().await {
        let ada = world.person(ADA).await;
        let entry = || ledger::Entry { user: ada.clone(), device: "a phone".into(), address: "phone".into() };
        world.suspend(ada.id).await;
        let opened = world.house.logins.ledger.open(entry()).await.expect("is no failure");
        assert!(opened.is_none());
        assert_eq!(world.number("SELECT count(*) FROM logins").await, 0);
    }
}

#[tokio::test]
async fn tokens_are_not_printed() {
    let world = worlds().await.remove(0);
    let ada = world.logged_in(ADA).await;
    let printed = format!("{ada:?}");
    assert!(!printed.contains("eyJ"), "{printed}");
}
