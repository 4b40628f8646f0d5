//! What is said of a session, and calls that come again.

use super::{recording::felt, *};

fn word(user: UserId, what: &str, body: &str) -> Option<idempotency::Key> {
    Some(idempotency::Key::of(user, what, "k", body.as_bytes()))
}

#[tokio::test]
async fn of_feedback_given_twice_at_once_one_is_kept() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let id = world.start(ada).await.id;
        assert!(matches!(world.rate(ada, id).await, Err(SessionError::NotEnded)));
        world.sessions.end(ada, id, origin(ada)).await.expect("ends");
        let asking: Vec<_> = (0..20)
            .map(|_| {
                world.ask(move |sessions| async move {
                    sessions.rate(call(ada, None), id, Rating { comment: String::new(), rating: 5 }).await
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
        assert_eq!((kept, world.told(ada).await.len()), (1, 3));
    }
}

#[tokio::test]
async fn a_key_gives_back_what_was_made_and_a_refusal_leaves_none() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let id = world.start(ada).await.id;
        let rating = || Rating { comment: "fine".into(), rating: 5 };
        let early = world.sessions.rate(call(ada, word(ada, "rate", "{}")), id, rating()).await;
        assert!(matches!(early, Err(SessionError::NotEnded)), "{early:?}");
        let process = async |body| {
            let call = call(ada, word(ada, "process", body));
            world.sessions.process(call, id, felt("sad", "so-so"), Listener::default()).await
        };
        let first = fresh(process("{}").await.expect("processes"));
        let kept = idempotency::Answer::of(200, &first).expect("JSON");
        assert_eq!(process("{}").await.expect("replays"), Once::Again(kept.clone()));
        assert!(matches!(process("other").await, Err(SessionError::KeyReused)));
        let (held, _ahead) = world.hold(ada).await;
        let rate = || {
            world.ask(
                move |sessions| async move { sessions.rate(call(ada, word(ada, "rate", "{}")), id, rating()).await },
            )
        };
        let (one, other) = (rate(), rate());
        world.until_waiting(2).await;
        world.release(held).await;
        let both = [one, other].map(|asked| async { asked.await.expect("no panic").expect("the key is free") });
        let [one, other] = both;
        let (fresh, again) = match (one.await, other.await) {
            (Once::Now(feedback), Once::Again(answer)) | (Once::Again(answer), Once::Now(feedback)) => {
                (feedback, answer)
            }
            both => panic!("one is made, the other waits for it: {both:?}"),
        };
        assert_eq!(again, idempotency::Answer::of(201, &fresh).expect("JSON"));
        world.sessions.delete(ada, id, origin(ada)).await.expect("deletes");
        assert_eq!(process("{}").await.expect("outlives what it made"), Once::Again(kept));
    }
}

#[tokio::test]
async fn of_two_with_one_key_the_second_is_made_when_the_first_is_refused() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let id = world.start(ada).await.id;
        let (held, _ahead) = world.hold(ada).await;
        let rate = || {
            world.ask(move |sessions| async move {
                let rating = Rating { comment: String::new(), rating: 1 };
                sessions.rate(call(ada, word(ada, "rate", "{}")), id, rating).await
            })
        };
        let first = rate();
        world.until_waiting(1).await;
        let end = world.ask(move |sessions| async move { sessions.end(ada, id, origin(ada)).await });
        world.until_waiting(2).await;
        let second = rate();
        world.until_waiting(3).await;
        world.release(held).await;
        assert!(matches!(first.await.expect("no panic"), Err(SessionError::NotEnded)));
        end.await.expect("no panic").expect("ends");
        fresh(second.await.expect("no panic").expect("is made"));
    }
}
