//! Writing with an `Idempotency-Key`.

use super::*;
use faceofmind_platform::idempotency::Answer;

#[tokio::test]
async fn the_same_key_gets_the_same_answer_again_even_when_what_it_made_is_gone() {
    for world in worlds().await {
        let ada = person(&world, "ada").await;
        let community = &world.system.community;
        let written = fresh(community.post(keyed(ada, "k", "one")).await.expect("is published"));
        let first = Answer::of(201, &written).expect("JSON");
        community.edit_post(written.id, "another".into(), member(ada)).await.expect("edits");
        let again = community.post(keyed(ada, "k", "one")).await.expect("replays");
        assert_eq!(again, Once::Again(first.clone()), "as it was when it was written");
        community.delete_post(written.id, member(ada)).await.expect("deletes");
        assert_eq!(community.post(keyed(ada, "k", "one")).await.expect("replays"), Once::Again(first));
        let reused = community.post(keyed(ada, "k", "two")).await;
        assert!(matches!(reused, Err(CommunityError::KeyReused)), "{reused:?}");
        assert_eq!((rows(&world).await, world.told(ada).await.len()), ((0, 0), 1));
    }
}

#[tokio::test]
async fn a_refused_comment_leaves_its_key_free() {
    for world in worlds().await {
        let ada = person(&world, "ada").await;
        let community = &world.system.community;
        let lost = community.comment(NOWHERE, keyed(ada, "k", "lost")).await;
        assert!(matches!(lost, Err(CommunityError::NoPost)), "{lost:?}");
        let id = post(&world, ada, "one").await.id;
        let said = fresh(community.comment(id, keyed(ada, "k", "said")).await.expect("the key is free"));
        let again = community.comment(id, keyed(ada, "k", "said")).await.expect("replays");
        assert_eq!(again, Once::Again(Answer::of(201, &said).expect("JSON")));
        assert_eq!(rows(&world).await, (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once_with_one_key_write_one_post() {
    for world in worlds().await {
        let ada = person(&world, "ada").await;
        let asking = (0..20).map(|_| {
            let community = world.system.community.clone();
            tokio::spawn(async move { community.post(keyed(ada, "k", "one")).await })
        });
        let (mut now, mut again) = (Vec::new(), Vec::new());
        for asked in asking.collect::<Vec<_>>() {
            match asked.await.expect("no panic").expect("is published or replayed") {
                Once::Now(post) => now.push(Answer::of(201, &post).expect("JSON")),
                Once::Again(answer) => again.push(answer),
            }
        }
        assert_eq!((now.len(), again), (1, vec![now[0].clone(); 19]));
        assert_eq!((rows(&world).await, world.told(ada).await.len()), ((1, 0), 1));
    }
}
