//! FinalChunk log-ins.

use super::*;

impl World {
    async fn login_of(&self, logged_in: &LoggedIn) -> LoginId {
        self.house.logins.identify(&logged_in.access_token).await.expect("is good").login
    }
}

#[tokio::test]
async fn logging_out_ends_one_and_logging_out_everywhere_all() {
    for world in worlds().await {
        let phone = world.logged_in(ADA).await;
        let desk = world.log_in(ADA, PASSWORD).await.expect("logs in");
        let car = world.log_in(ADA, PASSWORD).await.expect("logs in");
        let ada = phone.user.id;
        for logged_in in [&phone, &desk, &car] {
            assert!(world.is_good(logged_in).await);
        }
        assert!(world.house.logins.end(ada, world.login_of(&phone).await).await.expect("ends"));
        assert!(!world.is_good(&phone).await && world.is_good(&desk).await);
        let listed = world.house.logins.list(ada, world.login_of(&car).await).await.expect("lists");
        assert_eq!(listed.iter().map(|login| login.current).collect::<Vec<_>>(), [true, false]);
        world.house.logins.end_all(ada).await.expect("ends");
        for logged_in in [&phone, &desk, &car] {
            assert!(!world.is_good(logged_in).await);
            assert!(world.refresh(&logged_in.refresh_token).await.is_err());
        }
    }
}

#[tokio::test]
async fn nobody_ends_another_users_log_in() {
    for world in worlds().await {
        let (ada, bob) = (world.logged_in(ADA).await, world.person("bob@example.org").await);
        let adas = world.login_of(&ada).await;
        assert!(!world.house.logins.end(bob.id, adas).await.expect("is no failure"));
        assert!(world.is_good(&ada).await);
    }
}

#[tokio::test]
async fn logging_out_while_refreshing_leaves_nothing_good() {
    for world in worlds().await {
        for _ in 0..10 {
            let ada = match world.log_in(ADA, PASSWORD).await {
                Ok(ada) => ada,
                Err(_) => world.logged_in(ADA).await,
            };
            let login = world.login_of(&ada).await;
            let (refreshed, ended) =
                tokio::join!(world.refresh(&ada.refresh_token), world.house.logins.end(ada.user.id, login));
            assert!(ended.expect("ends"));
            if let Ok(refreshed) = refreshed {
                assert!(!world.is_good(&refreshed).await);
                assert!(world.refresh(&refreshed.refresh_token).await.is_err());
            }
        }
    }
}

#[tokio::test]
async fn who_waits_on_logins_that_die_hears_so_at_once_and_what_they_asked_is_not_half_done() {
    for world in worlds().await {
        let ada = world.logged_in(ADA).await;
        let mut held = world.db.begin().await.expect("begins");
        store::end_all(&mut held, ada.user.id, None, world.clock.now()).await.expect("locks");
        let (logins, token) = (world.house.logins.clone(), ada.refresh_token.clone());
        let asking = tokio::spawn(async move { logins.refresh(&token).await });
        until("it waits", async || world.house.tree.child("logins").expect("is there").depth() == 1).await;
        world.kill("logins").await;
        let answer = asking.await.expect("no panic");
        assert!(matches!(answer, Err(BearerError::Failed(Failure::Unavailable("logins")))), "{answer:?}");
        held.rollback().await.expect("lets go");
        world.refresh(&ada.refresh_token).await.expect("refreshes");
        assert_eq!(world.number("SELECT generation FROM logins").await, 2);
    }
}

#[tokio::test]
async fn what_ended_long_ago_is_swept_and_what_lives_is_not() {
    for world in worlds().await {
        let ada = world.logged_in(ADA).await;
        world.log_in(ADA, PASSWORD).await.expect("logs in");
        let login = world.login_of(&ada).await;
        world.house.logins.end(ada.user.id, login).await.expect("ends");
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
        world.kill("logins").await;
        until("the old one goes", async || world.number("SELECT count(*) FROM logins").await == 2).await;
    }
}
