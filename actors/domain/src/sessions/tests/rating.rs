//! Feedback, and repeated requests.

use super::{recording::detection, *};

fn word(user: UserId, what: &str, body: &str) -> Option<IdempotencyKey> {
    Some(IdempotencyKey::new(user, what, "k", body.as_bytes()))
}

#[tokio::test]
async fn parallel_feedback_is_recorded_once() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let id = test.start(ada).await.id;
        assert!(matches!(test.rate(ada, id).await, Err(SessionError::NotEnded)));
        test.sessions.end(ada, id).await.expect("ends");
        let asking: Vec<_> = (0..20)
            .map(|_| {
                test.ask(move |sessions| async move {
                    sessions.rate(command(ada, None), id, Rating { comment: String::new(), rating: 5 }).await
                })
            })
            .collect();
        let mut kept = 0;
        for asked in asking {
            match asked.await.expect("no panic") {
                Ok(_) => kept += 1,
                Err(SessionError::AlreadyRated) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!((kept, test.events(ada).await.len()), (1, 3));
    }
}

#[tokio::test]
async fn a_key_replays_the_response_and_a_refusal_releases_it() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let id = test.start(ada).await.id;
        let rating = || Rating { comment: "fine".into(), rating: 5 };
        let early = test.sessions.rate(command(ada, word(ada, "rate", "{}")), id, rating()).await;
        assert!(matches!(early, Err(SessionError::NotEnded)), "{early:?}");
        let process = async |body| {
            let context = command(ada, word(ada, "process", body));
            test.sessions.process(context, id, detection("sad", "so-so")).await
        };
        let first = process("{}").await.expect("processes");
        assert_eq!(process("{}").await.expect("replays"), first);
        assert!(matches!(process("other").await, Err(SessionError::KeyReused)));
        let (held, _ahead) = test.hold(ada).await;
        let rate = || {
            test.ask(
                move |sessions| async move { sessions.rate(command(ada, word(ada, "rate", "{}")), id, rating()).await },
            )
        };
        let (one, other) = (rate(), rate());
        test.until_waiting(2).await;
        test.release(held).await;
        let both = [one, other].map(|asked| async { asked.await.expect("no panic").expect("the key is free") });
        let [one, other] = both;
        assert_eq!(one.await, other.await, "one is recorded, and the other replays it");
        assert_eq!(test.events(ada).await.iter().filter(|name| name.starts_with("feedback")).count(), 1);
        test.sessions.delete(ada, id).await.expect("deletes");
        assert_eq!(process("{}").await.expect("outlives the session"), first);
    }
}

#[tokio::test]
async fn the_second_request_with_a_key_is_carried_out_when_the_first_is_refused() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let id = test.start(ada).await.id;
        let (held, _ahead) = test.hold(ada).await;
        let rate = || {
            test.ask(move |sessions| async move {
                let rating = Rating { comment: String::new(), rating: 1 };
                sessions.rate(command(ada, word(ada, "rate", "{}")), id, rating).await
            })
        };
        let first = rate();
        test.until_waiting(1).await;
        let end = test.ask(move |sessions| async move { sessions.end(ada, id).await });
        test.until_waiting(2).await;
        let second = rate();
        test.until_waiting(3).await;
        test.release(held).await;
        assert!(matches!(first.await.expect("no panic"), Err(SessionError::NotEnded)));
        end.await.expect("no panic").expect("ends");
        second.await.expect("no panic").expect("is made");
    }
}
