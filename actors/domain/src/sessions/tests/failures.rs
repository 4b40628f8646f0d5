//! When something goes wrong, everyone hears so at once, and nothing is half-written.

use super::*;

#[tokio::test]
async fn a_bad_row_fails_alone() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let (held, ahead) = world.hold(ada).await;
        let nobody = UserId(999_999);
        let asking: Vec<_> = (0..10).map(|_| world.ask_to_start(ada)).collect();
        world.until_waiting(10).await;
        let bad = world.ask_to_start(nobody);
        world.until_waiting(11).await;
        let more: Vec<_> = (0..10).map(|_| world.ask_to_start(ada)).collect();
        world.until_waiting(21).await;
        world.release(held).await;

        for asked in asking.into_iter().chain(more).chain([ahead]) {
            asked.await.expect("no panic").expect("is good");
        }
        assert!(matches!(bad.await.expect("no panic"), Err(SessionError::NotFound)));
        assert_eq!((world.sessions.count(ada).await.expect("counts"), world.told(ada).await.len()), (21, 21));
        assert!(world.told(nobody).await.is_empty());
        assert_eq!(world.observed().await.expect("observed")["writes"]["taken_apart"], 1);
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_any_more_fails_alone() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let key = faceofmind_platform::idempotency::Key::of(ada, "POST /api/v1/sessions/", "k", b"{}");
        world.sessions.start(call(ada, Some(key.clone()))).await.expect("starts");
        world.texts("UPDATE idempotency_keys SET answer = $2 WHERE user_id = $1", ada.0, "?").await;
        let (held, ahead) = world.hold(ada).await;
        let unreadable = world.ask(move |sessions| async move { sessions.start(call(ada, Some(key))).await });
        world.until_waiting(1).await;
        let good = world.ask_to_start(ada);
        world.until_waiting(2).await;
        world.release(held).await;
        assert!(
            matches!(unreadable.await.expect("no panic"), Err(SessionError::Failed(failure)) if !failure.is_transient())
        );
        good.await.expect("no panic").expect("is good");
        ahead.await.expect("no panic").expect("is good");
    }
}

#[tokio::test]
async fn when_the_database_is_gone_all_hear_that_they_may_try_again() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let (held, ahead) = world.hold(ada).await;
        let asking: Vec<_> = (0..5).map(|_| world.ask_to_start(ada)).collect();
        world.until_waiting(5).await;
        tokio::join!(world.db.close(), world.release(held));
        for asked in asking.into_iter().chain([ahead]) {
            match asked.await.expect("no panic") {
                Err(SessionError::Failed(failure)) => assert!(failure.is_transient(), "{failure}"),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_change_that_nobody_waits_for_any_more_is_not_made() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let (held, ahead) = world.hold(ada).await;
        let left = world.ask_to_start(ada);
        world.until_waiting(1).await;
        left.abort();
        left.await.expect_err("went away");
        world.release(held).await;
        ahead.await.expect("no panic").expect("starts");
        world.start(ada).await;
        assert_eq!(world.sessions.count(ada).await.expect("counts"), 2);
    }
}

#[tokio::test]
async fn when_the_tracker_panics_everyone_in_the_batch_hears_so_at_once() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        let (held, ahead) = world.hold(ada).await;
        let asking: Vec<_> = (0..30).map(|_| world.ask_to_start(ada)).collect();
        world.until_waiting(30).await;
        world.tree.children()[0].panic();
        for asked in asking.into_iter().chain([ahead]) {
            let heard = tokio::time::timeout(Duration::from_secs(2), asked).await.expect("at once").expect("no panic");
            assert!(matches!(heard, Err(SessionError::Failed(Failure::Unavailable("session_tracker")))), "{heard:?}");
        }
        world.release(held).await;
        world.until(|_| true).await;
        let id = world.start(ada).await.id;
        assert_eq!(world.told(ada).await, [format!("session.started session/{id}")], "nothing is half-written");
    }
}

#[tokio::test]
async fn what_was_answered_before_a_panic_is_there() {
    for world in worlds_of(Settings { largest_batch: 4, ..Settings::default() }).await {
        let ada = world.user("ada@example.org").await;
        let mut kept = Vec::new();
        let mut lost = 0;
        for _ in 0..10 {
            let asking: Vec<_> = (0..40).map(|_| world.ask_to_start(ada)).collect();
            world.until(|seen| seen["writes"]["written"].as_u64() > Some(0)).await;
            world.tree.children()[0].panic();
            for asked in asking {
                match asked.await.expect("no panic") {
                    Ok(started) => kept.push(fresh(started)),
                    Err(SessionError::Failed(Failure::Unavailable(_))) => lost += 1,
                    Err(other) => panic!("{other:?}"),
                }
            }
            world.until(|seen| seen["writes"]["batches"] == 0).await;
        }
        assert!(!kept.is_empty() && lost > 0, "the panics came in between: {} kept, {lost} lost", kept.len());
        for session in &kept {
            assert_eq!(world.sessions.get(ada, session.id).await.expect("is there"), *session);
        }
        let there = world.sessions.count(ada).await.expect("counts");
        assert!((kept.len() as u64..=400).contains(&there), "{there}");
        assert_eq!(world.told(ada).await.len() as u64, there, "an event each");
    }
}
