//! What a user sees of their sessions.

use super::*;

#[tokio::test]
async fn sessions_are_listed_newest_first_with_their_gist() {
    for world in worlds().await {
        let (ada, bob) = (world.user("ada@example.org").await, world.user("bob@example.org").await);
        let plain = world.start(ada).await;
        let bobs = world.start(bob).await;
        world.fill(bobs.id).await;
        let full = world.start(ada).await;
        let first = world.detect(full.id, "Happy").await;
        world.detect(full.id, "SAD").await;
        let third = world.detect(full.id, "sad").await;
        world.suggest(third, "- I hear you. It is hard.\n- Breathe.").await;
        world.suggest(first, "- Later.").await;
        world.sessions.end(ada, full.id, origin(ada)).await.expect("ends");

        let listed = world.sessions.list(ada, 0, 5).await.expect("lists");

        let gist = |listed: &Listed| (listed.id, listed.dominant_emotion.clone(), listed.suggestion.clone());
        assert_eq!(
            listed.iter().map(gist).collect::<Vec<_>>(),
            [(full.id, Some("sad".into()), Some("I hear you.".into())), (plain.id, None, None)]
        );
        assert_eq!((listed[0].start_time, listed[0].user_id), (full.start_time, ada));
        assert!(listed[0].end_time.is_some() && listed[1].end_time.is_none());
    }
}

#[tokio::test]
async fn of_emotions_seen_equally_often_the_most_recent_dominates() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let id = world.start(ada).await.id;
        for emotion in ["Ängstlich", "happy", "Happy", "ÄNGSTLICH"] {
            world.detect(id, emotion).await;
        }
        let listed = world.sessions.list(ada, 0, 1).await.expect("lists");
        assert_eq!(listed[0].dominant_emotion.as_deref(), Some("ängstlich"));
    }
}

#[tokio::test]
async fn a_list_is_cut_where_asked() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.insert(0, world.start(ada).await.id);
        }
        let page = async |skip, limit| -> Vec<_> {
            let listed = world.sessions.list(ada, skip, limit).await.expect("lists");
            listed.into_iter().map(|listed| listed.id).collect()
        };
        assert_eq!(page(0, 2).await, ids[..2]);
        assert_eq!(page(2, 100).await, ids[2..]);
        assert!(page(5, 5).await.is_empty() && page(0, 0).await.is_empty());
        assert_eq!(world.sessions.count(ada).await.expect("counts"), 5);
    }
}

#[tokio::test]
async fn a_write_that_waits_holds_up_no_reading() {
    for world in worlds().await.into_iter().filter(|world| matches!(world.db, Database::Sqlite(..))) {
        let ada = world.user("ada@example.org").await;
        let (held, ahead) = world.hold(ada).await;
        assert_eq!(world.sessions.count(ada).await.expect("counts"), 0);
        world.release(held).await;
        ahead.await.expect("no panic").expect("starts");
    }
}
