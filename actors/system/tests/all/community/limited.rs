//! How much one user may write.

use faceofmind_db::with_conn;

use super::*;
use faceofmind_system::Settings as Bounds;
use crate::support::{bounds, until};
use faceofmind_platform::idempotency;
use faceofmind_platform::idempotency::Answer;
use faceofmind_platform::mail::Transport;

const HOUR: Duration = Duration::from_secs(3600);

/// Two posts and two comments an hour.
async fn strict_worlds() -> Vec<World> {
    let mut worlds = Vec::new();
    for db in faceofmind_testing::databases().await {
        let limit = |name| Limit { name, most: 2, within: HOUR };
        let community = Settings { posts: limit("posts"), comments: limit("comments") };
        let transport = Transport::files(crate::support::new_folder());
        let bounds = Bounds { community, ..bounds() };
        worlds.push(World::with(db, transport, None, &Clock::system(), bounds).await);
    }
    worlds
}

#[tokio::test]
async fn two_an_hour_are_two_an_hour_for_each_user() {
    for world in strict_worlds().await {
        let (ada, bob) = (person(&world, "ada").await, person(&world, "bob").await);
        let community = &world.system.community;
        let id = post(&world, ada, "one").await.id;
        post(&world, ada, "two").await;
        comment(&world, id, ada, "comments are counted apart").await;
        comment(&world, id, ada, "from posts").await;
        let refused = community.post(draft(ada, "three")).await;
        let Err(CommunityError::TooMany { retry_after }) = refused else { panic!("{refused:?}") };
        assert!(retry_after <= HOUR && retry_after > HOUR / 2, "{retry_after:?}");
        let refused = community.comment(id, draft(ada, "three")).await;
        assert!(matches!(refused, Err(CommunityError::TooMany { .. })), "{refused:?}");
        post(&world, bob, "his first").await;
        assert_eq!((rows(&world).await, world.told(ada).await.len()), ((3, 2), 4));
        world.advance(HOUR);
        post(&world, ada, "three").await;
    }
}

#[tokio::test]
async fn what_is_refused_or_repeated_costs_nothing() {
    for world in strict_worlds().await {
        let ada = person(&world, "ada").await;
        let community = &world.system.community;
        let id = post(&world, ada, "one").await.id;
        for _ in 0..5 {
            let lost = community.comment(NOWHERE, draft(ada, "lost")).await;
            assert!(matches!(lost, Err(CommunityError::NoPost)), "{lost:?}");
        }
        fresh(community.comment(id, keyed(ada, "k", "one")).await.expect("the first"));
        for _ in 0..5 {
            let again = community.comment(id, keyed(ada, "k", "one")).await.expect("replays");
            assert!(matches!(again, Once::Again(_)), "{again:?}");
            let reused = community.comment(id, keyed(ada, "k", "two")).await;
            assert!(matches!(reused, Err(CommunityError::KeyReused)), "{reused:?}");
        }
        comment(&world, id, ada, "the second").await;
        let refused = community.comment(id, draft(ada, "the third")).await;
        assert!(matches!(refused, Err(CommunityError::TooMany { .. })), "{refused:?}");
        let again = community.comment(id, keyed(ada, "k", "one")).await.expect("replays beyond the limit too");
        assert!(matches!(again, Once::Again(_)), "{again:?}");
    }
}

/// The twin is under way when it is asked for, and done when its use is counted.
#[tokio::test]
async fn the_twin_of_the_last_that_is_allowed_is_answered_like_it() {
    for world in strict_worlds().await {
        let ada = person(&world, "ada").await;
        let (_, last) = (post(&world, ada, "one").await, post(&world, ada, "two").await);
        let (keyring, answer) = (faceofmind_testing::keyring(), Answer::of(201, &last).expect("JSON"));
        let key = keyed(ada, "k", "two").key.expect("a key");
        let mut twin = world.db.begin().await.expect("begins");
        idempotency::claim(&mut twin, &keyring, &key, world.clock.now()).await.expect("claims");
        idempotency::settle(&mut twin, &keyring, &key, &answer).await.expect("settles");
        let lock = "UPDATE counters SET count = count";
        with_conn!(twin.connection(), c => sqlx::query(lock).execute(c).await.map(drop)).expect("locks");
        let community = world.system.community.clone();
        let asking = tokio::spawn(async move { community.post(keyed(ada, "k", "two")).await });
        let limiter = || world.system.tree.snapshot().into_iter().find(|row| row.name == "limiter").expect("a row");
        until("the limiter is asked", async || limiter().queue_len == 1).await;
        twin.commit().await.expect("commits");
        assert_eq!(asking.await.expect("no panic").expect("replays"), Once::Again(answer));
        assert_eq!(rows(&world).await, (2, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_counted_too() {
    for world in strict_worlds().await {
        let ada = person(&world, "ada").await;
        let asking = (0..10).map(|number| {
            let community = world.system.community.clone();
            tokio::spawn(async move { community.post(draft(ada, &format!("no. {number}"))).await.is_ok() })
        });
        let mut published = 0;
        for asked in asking.collect::<Vec<_>>() {
            published += i32::from(asked.await.expect("no panic"));
        }
        assert_eq!((published, rows(&world).await), (2, (2, 0)));
    }
}
