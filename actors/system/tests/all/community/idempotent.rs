//! Writing with an `Idempotency-Key`.

use super::*;

#[tokio::test]
async fn a_repeated_key_gets_the_same_response_also_when_the_post_is_changed_or_deleted() {
    for test in contexts().await {
        let ada = person(&test, "ada").await;
        let community = &test.system.modules.community;
        let first = community.ask(create_post(keyed(ada, "k", "one"))).await.expect("publishes");
        let id = parse::<Post>(&first).id;
        community.ask(update_post(id, "another", user(ada))).await.expect("updates");
        let replay = community.ask(create_post(keyed(ada, "k", "one"))).await.expect("replays");
        assert_eq!(replay, first, "as it was when it was written");
        community.ask(DeletePost { id, editor: user(ada) }).await.expect("deletes");
        assert_eq!(community.ask(create_post(keyed(ada, "k", "one"))).await.expect("replays"), first);
        let reused = community.ask(create_post(keyed(ada, "k", "two"))).await;
        assert!(matches!(reused, Err(CommunityError::KeyReused)), "{reused:?}");
        assert_eq!((rows(&test).await, test.event_names(ada).await.len()), ((0, 0), 1));
    }
}

#[tokio::test]
async fn a_refused_comment_leaves_its_key_free() {
    for test in contexts().await {
        let ada = person(&test, "ada").await;
        let community = &test.system.modules.community;
        let lost = community.ask(create_comment(MISSING_POST, keyed(ada, "k", "lost"))).await;
        assert!(matches!(lost, Err(CommunityError::PostNotFound)), "{lost:?}");
        let id = post(&test, ada, "one").await.id;
        let first = community.ask(create_comment(id, keyed(ada, "k", "said"))).await.expect("the key is free");
        let replay = community.ask(create_comment(id, keyed(ada, "k", "said"))).await.expect("replays");
        assert_eq!(replay, first);
        assert_eq!((parse::<Comment>(&first).content.as_str(), rows(&test).await), ("said", (1, 1)));
    }
}
