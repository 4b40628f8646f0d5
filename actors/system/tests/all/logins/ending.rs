//! How logins end.

use faceofmind_platform::login_store as store;
use faceofmind_runtime::AskError;

use super::*;

#[tokio::test]
async fn logging_out_ends_one_and_logging_out_everywhere_all() {
    for world in worlds().await {
        let phone = world.logged_in(ADA).await;
        let laptop = world.log_in(ADA, PASSWORD).await.expect("logs in");
        let car = world.log_in(ADA, PASSWORD).await.expect("logs in");
        let ada = phone.user.id;
        for logged_in in [&phone, &laptop, &car] {
            assert!(world.is_good(logged_in).await);
        }
        assert!(world.end(ada, world.login_of(&phone).await).await.expect("ends"));
        assert!(!world.is_good(&phone).await && world.is_good(&laptop).await);
        let current = world.login_of(&car).await;
        let listed = world.system.modules.logins.ask(ListLogins { user: ada, current }).await.expect("lists");
        assert_eq!(listed.iter().map(|login| login.current).collect::<Vec<_>>(), [true, false]);
        world.end_all(ada).await;
        for logged_in in [&phone, &laptop, &car] {
            assert!(!world.is_good(logged_in).await);
            assert!(world.refresh(&logged_in.refresh_token).await.is_err());
        }
    }
}

#[tokio::test]
async fn a_user_cannot_end_another_users_login() {
    for world in worlds().await {
        let (ada, bob) = (world.logged_in(ADA).await, world.person("bob@example.org").await);
        let adas = world.login_of(&ada).await;
        assert!(!world.end(bob.id, adas).await.expect("is no failure"));
        assert!(world.is_good(&ada).await);
    }
}

#[tokio::test]
async fn logging_out_while_refreshing_leaves_no_valid_token() {
    for world in worlds().await {
        for _ in 0..10 {
            let ada = match world.log_in(ADA, PASSWORD).await {
                Ok(ada) => ada,
                Err(_) => world.logged_in(ADA).await,
            };
            let login = world.login_of(&ada).await;
            let (refreshed, ended) = tokio::join!(world.refresh(&ada.refresh_token), world.end(ada.user.id, login));
            assert!(ended.expect("ends"));
            if let Ok(refreshed) = refreshed {
                assert!(!world.is_good(&refreshed).await);
                assert!(world.refresh(&refreshed.refresh_token).await.is_err());
            }
        }
    }
}

#[tokio::test]
async fn when_the_registry_dies_its_callers_fail_at_once_and_their_requests_are_not_half_done() {
    for world in worlds().await {
        let ada = world.logged_in(ADA).await;
        let mut held = world.db.begin().await.expect("begins");
        store::end_all(&mut held, ada.user.id, None, world.clock.now()).await.expect("locks");
        let (logins, refresh_token) = (world.system.modules.logins.clone(), ada.refresh_token.clone().into());
        let asking = tokio::spawn(async move { logins.ask(RefreshTokens { refresh_token }).await });
        until("it waits", async || world.system.modules.logins.queue_len() == 1).await;
        world.kill("logins").await;
        let answer = asking.await.expect("no panic");
        assert!(matches!(answer, Err(TokenError::Ask(AskError::Unavailable("logins")))), "{answer:?}");
        held.rollback().await.expect("lets go");
        world.refresh(&ada.refresh_token).await.expect("refreshes");
        assert_eq!(world.number("SELECT generation FROM logins").await, 2);
    }
}

#[tokio::test]
async fn logins_that_ended_long_ago_are_deleted_and_live_ones_are_not() {
    for world in worlds().await {
        let ada = world.logged_in(ADA).await;
        world.log_in(ADA, PASSWORD).await.expect("logs in");
        let login = world.login_of(&ada).await;
        world.end(ada.user.id, login).await.expect("ends");
        let bob = world.logged_in("bob@example.org").await;
        for _ in 0..4 {
            world.advance(Duration::from_secs(25 * 24 * 3600));
            world
                .run(&format!(
                    "UPDATE logins SET expires_at = (SELECT max(expires_at) FROM logins) WHERE user_id = {}",
                    bob.user.id
                ))
                .await;
        }
        world.kill("sweeper").await;
        until("the old one is deleted", async || world.number("SELECT count(*) FROM logins").await == 2).await;
    }
}
