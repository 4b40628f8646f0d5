//! The tracker dies in the middle of a batch: everyone hears so at once, and the batch is there wholly or not at all.

use super::*;

/// Lets it die at that step with a batch of everything in hand; tells whether all of it is there.
async fn died_at(world: &World, step: Step, ada: UserId) -> bool {
    let (detected, to_process, rated) =
        (world.start(ada).await.id, world.start(ada).await.id, world.start(ada).await.id);
    world.sessions.end(ada, rated, origin(ada)).await.expect("ends");
    let (rows, told) = (world.rows().await, world.told(ada).await.len());
    let (held, ahead) = world.hold(ada).await;
    let felt = || Detection::new("sad".into(), "so-so".into()).with_confidence(Some(0.5));
    let asking = [
        world.ask(move |sessions| async move { sessions.start(call(ada, None)).await.map(drop) }),
        world.ask(move |sessions| async move {
            sessions.detect(call(ada, None), detected, vec![felt(), felt()], Listener::default()).await.map(drop)
        }),
        world.ask(
            move |sessions| async move { processed(sessions, call(ada, None), to_process, felt()).await.map(drop) },
        ),
        world.ask(move |sessions| async move {
            sessions.rate(call(ada, None), rated, Rating { comment: String::new(), rating: 3 }).await.map(drop)
        }),
    ];
    world.until_waiting(4).await;
    world.sessions.panic_at(step, 4);
    world.release(held).await;
    ahead.await.expect("no panic").expect("starts");
    for asked in asking {
        let heard = tokio::time::timeout(Duration::from_secs(2), asked).await.expect("at once").expect("no panic");
        assert!(matches!(heard, Err(SessionError::Failed(Failure::Unavailable("session_tracker")))), "{heard:?}");
    }
    assert!(!world.sessions.is_to_panic());
    world.until(|_| true).await;
    let (rows, told) = (world.rows().await - rows - 1, world.told(ada).await.len() - told - 1);
    let ended = world.sessions.get(ada, to_process).await.expect("is there").end_time.is_some();
    // A session, two detections of four rows, one with its suggestion, and feedback; an event each, and one for the end.
    assert!(
        [(0, 0, false), (1 + 2 * 4 + 5 + 1, 1 + 2 + 2 + 1, true)].contains(&(rows, told, ended)),
        "{rows} {told} {ended}"
    );
    ended
}

#[tokio::test]
async fn a_batch_in_whose_middle_the_tracker_dies_is_there_wholly_or_not_at_all() {
    for world in worlds().await {
        let ada = world.user("ada@example.org").await;
        for (step, is_there) in
            [(Step::Locked, false), (Step::Half, false), (Step::Written, false), (Step::Committed, true)]
        {
            assert_eq!(died_at(&world, step, ada).await, is_there, "{step:?}");
        }
    }
}
