//! Starting with an `Idempotency-Key`.

use super::*;

fn key(user: UserId, word: &str, body: &str) -> Option<IdempotencyKey> {
    Some(IdempotencyKey::new(user, "POST /api/v1/sessions/", word, body.as_bytes()))
}

#[tokio::test]
async fn a_repeated_key_gets_the_same_session_and_the_same_bytes() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let response = test.sessions.respond_to_start(command(ada, key(ada, "k", "{}"))).await.expect("starts");
        let first: Session = parse(&response);
        test.sessions.end(ada, first.id).await.expect("ends");

        let replay = test.sessions.respond_to_start(command(ada, key(ada, "k", "{}"))).await.expect("replays");

        assert_eq!((&replay, replay.status), (&response, 201), "as it was when it was started");
        let reused = test.sessions.start(command(ada, key(ada, "k", "{\"a\":1}"))).await;
        assert!(matches!(reused, Err(SessionError::KeyReused)), "{reused:?}");
        let other = test.sessions.start(command(ada, key(ada, "other", "{}"))).await.expect("starts");
        assert_ne!(other.id, first.id);
        assert_eq!(test.events(ada).await.len(), 3);
        assert_eq!(test.sessions.count(ada).await.expect("counts"), 2);
    }
}

#[tokio::test]
async fn a_key_is_its_users_own() {
    for test in contexts().await {
        let (ada, bob) = (test.user("ada@example.org").await, test.user("bob@example.org").await);
        test.sessions.start(command(ada, key(ada, "k", "{}"))).await.expect("starts");
        let bobs = test.sessions.start(command(bob, key(bob, "k", "{}"))).await.expect("starts");
        assert_eq!(bobs.user_id, bob);
    }
}

#[tokio::test]
async fn twenty_parallel_requests_with_one_key_start_one_session() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let (held, ahead) = test.hold(ada).await;
        let asking: Vec<_> = (0..20)
            .map(|_| {
                test.ask(
                    move |sessions| async move { sessions.respond_to_start(command(ada, key(ada, "k", "{}"))).await },
                )
            })
            .collect();
        test.until_waiting(20).await;
        test.release(held).await;
        ahead.await.expect("no panic").expect("starts");
        let mut started = Vec::new();
        for asked in asking {
            started.push(asked.await.expect("no panic").expect("starts or replays"));
        }
        assert!(started.iter().all(|response| *response == started[0]), "{started:?}");
        assert_eq!((test.sessions.count(ada).await.expect("counts"), test.events(ada).await.len()), (2, 2));
    }
}

#[tokio::test]
async fn starts_with_and_without_a_key_go_into_one_batch() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        test.sessions.start(command(ada, key(ada, "k", "{}"))).await.expect("starts");
        let (held, ahead) = test.hold(ada).await;
        let plain = test.ask_to_start(ada);
        test.until_waiting(1).await;
        let reused = test.ask(move |sessions| async move { sessions.start(command(ada, key(ada, "k", "2"))).await });
        let new = test.ask(move |sessions| async move { sessions.start(command(ada, key(ada, "n", "{}"))).await });
        test.until_waiting(3).await;
        let last = test.ask_to_start(ada);
        test.until_waiting(4).await;
        test.release(held).await;
        let id = |started: Result<Session, SessionError>| started.expect("starts").id;
        let ids = [ahead, plain, new, last].map(|asked| async { id(asked.await.expect("no panic")) });
        let mut seen = Vec::new();
        for id in ids {
            seen.push(id.await);
        }
        assert!(seen.is_sorted(), "in the order of their arrival: {seen:?}");
        assert!(matches!(reused.await.expect("no panic"), Err(SessionError::KeyReused)));
    }
}
