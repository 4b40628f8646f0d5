//! Logging in with a password.

use std::time::Duration;

use faceofmind_domain::accounts::Register;
use faceofmind_model::RequestContext;
use faceofmind_platform::{
    mail::Transport,
    rate_limit::{Acquire, Limit, RateLimitKey, Refund},
};

use super::*;
use crate::support::{email, new_folder, secret, settings};

impl TestContext {
    /// Returns the sum of all counters, after the refunds that are under way: the limiter's requests are done in their order.
    async fn counted(&self) -> i64 {
        let limit = Limit { name: "the test", max: 1, window: Duration::from_secs(60) };
        let key = RateLimitKey { limit, subject: String::new() };
        let limiter = &self.system.platform.limiter;
        let counted = limiter.ask(Acquire(vec![key])).await.expect("counts");
        limiter.ask(Refund(counted)).await.expect("refunds");
        self.number("SELECT CAST(COALESCE(sum(count), 0) AS bigint) FROM counters").await
    }
}

#[tokio::test]
async fn wrong_passwords_are_counted_alike_for_known_and_unknown_addresses() {
    for test in contexts().await {
        test.person(ADA).await;
        for who in [ADA, "unknown@example.org"] {
            for _ in 0..10 {
                let refused = test.log_in_from(client("thief"), who, "a wrong one").await;
                assert!(matches!(refused, Err(LoginError::InvalidCredentials)), "{who}");
            }
            let refused = test.log_in_from(client("thief"), who, PASSWORD).await;
            assert!(matches!(refused, Err(LoginError::RateLimited { .. })), "{who}");
        }
        test.log_in_from(client("phone"), ADA, PASSWORD).await.expect("only the thief is kept out");
    }
}

#[tokio::test]
async fn strangers_cannot_lock_a_user_out() {
    for test in contexts().await {
        test.logged_in(ADA).await;
        for thief in 0..10 {
            for _ in 0..10 {
                let refused = test.log_in_from(client(&format!("thief {thief}")), ADA, "a wrong one").await;
                assert!(matches!(refused, Err(LoginError::InvalidCredentials)));
            }
        }
        let refused = test.log_in_from(client("one more thief"), ADA, "a wrong one").await;
        assert!(matches!(refused, Err(LoginError::RateLimited { .. })));
        test.log_in(ADA, PASSWORD).await.expect("is known by this address");
    }
}

#[tokio::test]
async fn right_passwords_are_not_counted_whatever_the_status() {
    for test in contexts().await {
        let ada = test.person(ADA).await;
        test.register("bob@example.org", PASSWORD, "phone").await;
        test.all_is_mailed().await;
        let before = test.counted().await;
        test.log_in(ADA, PASSWORD).await.expect("logs in");
        assert!(matches!(test.log_in("bob@example.org", PASSWORD).await, Err(LoginError::Inactive)));
        test.suspend(ada.id).await;
        assert!(matches!(test.log_in(ADA, PASSWORD).await, Err(LoginError::AccountDisabled(Status::Suspended))));
        assert!(matches!(test.log_in(ADA, "a wrong one").await, Err(LoginError::InvalidCredentials)));
        test.all_is_mailed().await;
        let what = "the wrong password alone is counted, for ten minutes and for a day, from a network that is known; \
            and Bob's new code, for all strangers and for this one";
        until(what, async || test.counted().await == before + 2 + 2).await;
    }
}

#[tokio::test]
async fn an_attempt_that_could_not_be_verified_is_not_counted() {
    for test in contexts().await {
        test.person(ADA).await;
        let before = test.counted().await;
        // On a busy machine the hasher may run again before the log-in asks it.
        until("a log-in meets the panic", async || {
            test.system.tree.child("hasher").expect("is there").panic();
            matches!(test.log_in(ADA, PASSWORD).await, Err(LoginError::Ask(_)))
        })
        .await;
        until("the attempt is refunded", async || test.counted().await == before).await;
        let registration = Register {
            email: email("bob@example.org"),
            password: secret(PASSWORD),
            first_name: "Bob".into(),
            last_name: "B".into(),
            context: client("phone"),
        };
        until("the hasher runs again", async || test.log_in(ADA, PASSWORD).await.is_ok()).await;
        test.system.tree.child("hasher").expect("is there").panic();
        assert!(test.system.modules.accounts.ask(registration).await.is_err());
        until("the attempt is refunded", async || test.counted().await == before).await;
    }
}

#[tokio::test]
async fn a_login_with_a_new_device_is_mailed_and_one_with_a_known_device_is_not() {
    for test in contexts().await {
        test.logged_in(ADA).await;
        test.log_in(ADA, PASSWORD).await.expect("logs in");
        test.all_is_mailed().await;
        assert_eq!(test.mails(ADA).len(), 1, "the first device, and the same again, are not mailed");
        let new = RequestContext { device: "a fridge".into(), ..client("203.0.113.7") };
        test.log_in_from(new, ADA, PASSWORD).await.expect("logs in");
        let mail = test.mail(ADA, 2).await;
        assert!(mail.text.contains("a fridge") && mail.text.contains("203.0.113.7"), "{}", mail.text);
    }
}

#[tokio::test]
async fn a_hash_of_another_cost_is_renewed() {
    for test in contexts().await {
        test.person(ADA).await;
        let mut dearer = settings();
        dearer.platform.hasher.cost.memory_kib = 128;
        let later = TestContext::with(test.db.clone(), Transport::files(new_folder()), None, &test.clock, dearer).await;
        later.log_in(ADA, PASSWORD).await.expect("logs in");
        let renewed = "SELECT count(*) FROM users WHERE password LIKE '$argon2id$v=19$m=128,%'";
        assert_eq!(test.number(renewed).await, 1);
        later.log_in(ADA, PASSWORD).await.expect("logs in");
    }
}

#[tokio::test]
async fn tokens_are_not_printed() {
    let test = contexts().await.remove(0);
    let ada = test.logged_in(ADA).await;
    let printed = format!("{ada:?}");
    assert!(!printed.contains("eyJ"), "{printed}");
}
