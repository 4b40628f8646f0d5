//! Starting with an `Idempotency-Key`.

use super::*;
use faceofmind_platform::idempotency::{Answer, Key};

fn key(user: UserId, word: &str, body: &str) -> Option<Key> {
    Some(Key::of(user, "POST /api/v1/sessions/", word, body.as_bytes()))
}

#[tokio::test]
async fn the_same_key_gets_the_same_session_and_answer() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let first = world.sessions.start(call(ada, key(ada, "k", "{}"))).await.expect("starts");
        let first = fresh(first);
        world.sessions.end(ada, first.id, origin(ada)).await.expect("ends");

        let again = world.sessions.start(call(ada, key(ada, "k", "{}"))).await.expect("replays");

        let body = serde_json::to_string(&first).expect("JSON");
        assert_eq!(again, Once::Again(Answer { status: 201, body }), "as it was when it was started");
        let reused = world.sessions.start(call(ada, key(ada, "k", "{\"a\":1}"))).await;
        assert!(matches!(reused, Err(SessionError::KeyReused)), "{reused:?}");
        let other = world.sessions.start(call(ada, key(ada, "other", "{}"))).await.expect("starts");
        assert_ne!(fresh(other).id, first.id);
        assert_eq!(world.told(ada).await.len(), 3);
        assert_eq!(world.sessions.count(ada).await.expect("counts"), 2);
    }
}

#[tokio::test]
async fn a_key_is_its_users_own() {
    for world in worlds().await {
        let (ada, bob) = (world.user("ada@example.org").await, world.user("bob@example.org").await);
        world.sessions.start(call(ada, key(ada, "k", "{}"))).await.expect("starts");
        let bobs = world.sessions.start(call(bob, key(bob, "k", "{}"))).await.expect("starts");
        assert_eq!(fresh(bobs).user_id, bob);
    }
}

#[tokio::test]
async fn twenty_parallel_requests_with_one_key_start_one_session() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let (held, ahead) = world.hold(ada).await;
        let asking: Vec<_> = (0..20)
            .map(|_| world.ask(move |sessions| async move { sessions.start(call(ada, key(ada, "k", "{}"))).await }))
            .collect();
        world.until_waiting(20).await;
        world.release(held).await;
        ahead.await.expect("no panic").expect("starts");
        let mut started = Vec::new();
        for asked in asking {
            started.push(asked.await.expect("no panic").expect("starts or replays"));
        }
        let (fresh, again): (Vec<_>, Vec<_>) = started.into_iter().partition(|one| matches!(one, Once::Now(_)));
        let [Once::Now(session)] = fresh[..] else { panic!("one is started: {fresh:?}") };
        let answer = Answer::of(201, &session).expect("JSON");
        assert!(again.len() == 19 && again.into_iter().all(|one| one == Once::Again(answer.clone())));
        assert_eq!((world.sessions.count(ada).await.expect("counts"), world.told(ada).await.len()), (2, 2));
    }
}

#[tokio::test]
async fn with_and_without_a_key_go_into_one_batch() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        world.sessions.start(call(ada, key(ada, "k", "{}"))).await.expect("starts");
        let (held, ahead) = world.hold(ada).await;
        let plain = world.ask_to_start(ada);
        world.until_waiting(1).await;
        let reused = world.ask(move |sessions| async move { sessions.start(call(ada, key(ada, "k", "2"))).await });
        let new = world.ask(move |sessions| async move { sessions.start(call(ada, key(ada, "n", "{}"))).await });
        world.until_waiting(3).await;
        let last = world.ask_to_start(ada);
        world.until_waiting(4).await;
        world.release(held).await;
        let id = |started: Result<Once<Session>, SessionError>| fresh(started.expect("starts")).id;
        let ids = [ahead, plain, new, last].map(|asked| async { id(asked.await.expect("no panic")) });
        let mut seen = Vec::new();
        for id in ids {
            seen.push(id.await);
        }
        assert!(seen.is_sorted(), "in the order of their arrival: {seen:?}");
        assert!(matches!(reused.await.expect("no panic"), Err(SessionError::KeyReused)));
    }
}

#[tokio::test]
async fn keys_are_forgotten_after_a_day() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        world.sessions.start(call(ada, key(ada, "k", "{}"))).await.expect("starts");
        world.clock.advance(Duration::from_secs(24 * 3600));
        world.tree.children()[0].panic();
        let sql = "SELECT count(*) FROM idempotency_keys WHERE user_id = $1 AND created_at < $2";
        crate::testing::until("a start sweeps", async || world.sql(sql, ada.0).await == 0).await;
    }
}
