//! How much one user may write.

use faceofmind_db::with_conn;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// Two posts and two comments an hour.
async fn strict_worlds() -> Vec<TestContext> {
    let mut contexts = Vec::new();
    for db in faceofmind_testing::databases().await {
        let limit = |name| Limit { name, max: 2, window: HOUR };
        let community = Settings { posts: limit("posts"), comments: limit("comments") };
        let mut settings = settings();
        settings.modules.community = community;
        contexts.push(TestContext::with(db, Transport::files(new_folder()), None, &Clock::system(), settings).await);
    }
    contexts
}

#[tokio::test]
async fn a_refused_or_repeated_request_is_not_counted() {
    for test in strict_worlds().await {
        let ada = person(&test, "ada").await;
        let community = &test.system.modules.community;
        let id = post(&test, ada, "one").await.id;
        for _ in 0..5 {
            let lost = community.ask(create_comment(MISSING_POST, content(ada, "lost"))).await;
            assert!(matches!(lost, Err(CommunityError::PostNotFound)), "{lost:?}");
        }
        let first = community.ask(create_comment(id, keyed(ada, "k", "one"))).await.expect("the first");
        for _ in 0..5 {
            let replay = community.ask(create_comment(id, keyed(ada, "k", "one"))).await.expect("replays");
            assert_eq!(replay, first);
            let reused = community.ask(create_comment(id, keyed(ada, "k", "two"))).await;
            assert!(matches!(reused, Err(CommunityError::KeyReused)), "{reused:?}");
        }
        comment(&test, id, ada, "the second").await;
        let refused = community.ask(create_comment(id, content(ada, "the third"))).await;
        assert!(matches!(refused, Err(CommunityError::RateLimited { .. })), "{refused:?}");
        let replay = community.ask(create_comment(id, keyed(ada, "k", "one"))).await;
        assert_eq!(replay.expect("replays beyond the limit too"), first);
    }
}

/// The request with the same key is in progress when it is looked up, and answered when its use is counted.
#[tokio::test]
async fn a_repeat_of_the_last_allowed_request_gets_its_response() {
    for test in strict_worlds().await {
        let ada = person(&test, "ada").await;
        let (_, last) = (post(&test, ada, "one").await, post(&test, ada, "two").await);
        let (keyring, response) = (faceofmind_platform::testing::keyring(), respond(&last));
        let key = keyed(ada, "k", "two").key.expect("a key");
        let mut twin = test.db.begin().await.expect("begins");
        idempotency::claim(&mut twin, &keyring, &key, test.clock.now()).await.expect("claims");
        idempotency::store_response(&mut twin, &keyring, &key, &response).await.expect("stores");
        let lock = "UPDATE counters SET count = count";
        with_conn!(twin.connection(), c => sqlx::query(lock).execute(c).await.map(drop)).expect("locks");
        let community = test.system.modules.community.clone();
        let asking = tokio::spawn(async move { community.ask(create_post(keyed(ada, "k", "two"))).await });
        let limiter = || test.system.tree.snapshot().into_iter().find(|row| row.name == "limiter").expect("a row");
        until("the limiter is asked", async || limiter().queue_len == 1).await;
        twin.commit().await.expect("commits");
        assert_eq!(asking.await.expect("no panic").expect("replays"), response);
        assert_eq!(rows(&test).await, (2, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_requests_are_counted_too() {
    for test in strict_worlds().await {
        let ada = person(&test, "ada").await;
        let asking = (0..10).map(|number| {
            let community = test.system.modules.community.clone();
            tokio::spawn(
                async move { community.ask(create_post(content(ada, &format!("no. {number}")))).await.is_ok() },
            )
        });
        let mut published = 0;
        for asked in asking.collect::<Vec<_>>() {
            published += i32::from(asked.await.expect("no panic"));
        }
        assert_eq!((published, rows(&test).await), (2, (2, 0)));
    }
}
