//! How logins end.

use faceofmind_platform::login_store as store;
use faceofmind_runtime::AskError;

use super::*;

#[tokio::test]
async fn logging_out_ends_one_and_logging_out_everywhere_all() {
    for test in contexts().await {
        let phone = test.logged_in(ADA).await;
        let laptop = test.log_in(ADA, PASSWORD).await.expect("logs in");
        let car = test.log_in(ADA, PASSWORD).await.expect("logs in");
        let ada = phone.user.id;
        for logged_in in [&phone, &laptop, &car] {
            assert!(test.is_good(logged_in).await);
        }
        assert!(test.end(ada, test.login_of(&phone).await).await.expect("ends"));
        assert!(!test.is_good(&phone).await && test.is_good(&laptop).await);
        let current = test.login_of(&car).await;
        let listed = test.system.modules.logins.ask(ListLogins { user: ada, current }).await.expect("lists");
        assert_eq!(listed.iter().map(|login| login.current).collect::<Vec<_>>(), [true, false]);
        test.end_all(ada).await;
        for logged_in in [&phone, &laptop, &car] {
            assert!(!test.is_good(logged_in).await);
            assert!(test.refresh(&logged_in.refresh_token).await.is_err());
        }
    }
}

#[tokio::test]
async fn a_user_cannot_end_another_users_login() {
    for test in contexts().await {
        let (ada, bob) = (test.logged_in(ADA).await, test.person("bob@example.org").await);
        let adas = test.login_of(&ada).await;
        assert!(!test.end(bob.id, adas).await.expect("is no failure"));
        assert!(test.is_good(&ada).await);
    }
}

#[tokio::test]
async fn logging_out_while_refreshing_leaves_no_valid_token() {
    for test in contexts().await {
        for _ in 0..10 {
            let ada = match test.log_in(ADA, PASSWORD).await {
                Ok(ada) => ada,
                Err(_) => test.logged_in(ADA).await,
            };
            let login = test.login_of(&ada).await;
            let (refreshed, ended) = tokio::join!(test.refresh(&ada.refresh_token), test.end(ada.user.id, login));
            assert!(ended.expect("ends"));
            if let Ok(refreshed) = refreshed {
                assert!(!test.is_good(&refreshed).await);
                assert!(test.refresh(&refreshed.refresh_token).await.is_err());
            }
        }
    }
}

#[tokio::test]
async fn when_the_registry_dies_its_callers_fail_at_once_and_their_requests_are_not_half_done() {
    for test in contexts().await {
        let ada = test.logged_in(ADA).await;
        let mut held = test.db.begin().await.expect("begins");
        store::end_all(&mut held, ada.user.id, None, test.clock.now()).await.expect("locks");
        let (logins, refresh_token) = (test.system.modules.logins.clone(), ada.refresh_token.clone().into());
        let asking = tokio::spawn(async move { logins.ask(RefreshTokens { refresh_token }).await });
        until("it waits", async || test.system.modules.logins.queue_len() == 1).await;
        test.kill("logins").await;
        let answer = asking.await.expect("no panic");
        assert!(
            matches!(
                answer,
                Err(TokenError::Ask(AskError::Unavailable("logins") | AskError::OutcomeUnknown("logins")))
            ),
            "{answer:?}"
        );
        held.rollback().await.expect("lets go");
        test.refresh(&ada.refresh_token).await.expect("refreshes");
        assert_eq!(test.number("SELECT generation FROM logins").await, 2);
    }
}

#[tokio::test]
async fn logins_that_ended_long_ago_are_deleted_and_live_ones_are_not() {
    for test in contexts().await {
        let ada = test.logged_in(ADA).await;
        test.log_in(ADA, PASSWORD).await.expect("logs in");
        let login = test.login_of(&ada).await;
        test.end(ada.user.id, login).await.expect("ends");
        let bob = test.logged_in("bob@example.org").await;
        for _ in 0..4 {
            test.advance(Duration::from_secs(25 * 24 * 3600));
            test.run(&format!(
                "UPDATE logins SET expires_at = (SELECT max(expires_at) FROM logins) WHERE user_id = {}",
                bob.user.id
            ))
            .await;
        }
        test.kill("sweeper").await;
        until("the old one is deleted", async || test.number("SELECT count(*) FROM logins").await == 2).await;
    }
}
