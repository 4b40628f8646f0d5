//! The tracker panics in the middle of a batch: every caller fails at once, and the batch is written wholly or not at all.

use super::*;

/// Makes the tracker panic at this site in a batch of all kinds of commands. Returns whether the batch is written.
async fn survives_panic_at(test: &TestContext, site: FailPointSite, ada: UserId) -> bool {
    let (detected, to_process, rated) = (test.start(ada).await.id, test.start(ada).await.id, test.start(ada).await.id);
    test.sessions.end(ada, rated).await.expect("ends");
    let (rows, events) = (test.rows().await, test.events(ada).await.len());
    let (held, ahead) = test.hold(ada).await;
    let felt = || Detection::new("sad".into(), "so-so".into()).with_confidence(Some(0.5));
    let asking = [
        test.ask(move |sessions| async move { sessions.start(command(ada, None)).await.map(drop) }),
        test.ask(move |sessions| async move {
            sessions.detect(command(ada, None), detected, vec![felt(), felt()]).await.map(drop)
        }),
        test.ask(move |sessions| async move {
            sessions.process_without_look_up(command(ada, None), to_process, felt()).await.map(drop)
        }),
        test.ask(move |sessions| async move {
            sessions.rate(command(ada, None), rated, Rating { comment: String::new(), rating: 3 }).await.map(drop)
        }),
    ];
    test.until_waiting(4).await;
    let fail_point = test.sessions.0.ask(ArmFailPoint { site, min_commands: 4 }).await.expect("arms");
    test.release(held).await;
    ahead.await.expect("no panic").expect("starts");
    for asked in asking {
        let reply = tokio::time::timeout(Duration::from_secs(2), asked).await.expect("at once").expect("no panic");
        let died = |error| matches!(error, AskError::OutcomeUnknown(_) | AskError::Unavailable(_));
        assert!(matches!(reply, Err(SessionError::Ask(error)) if died(error)), "{reply:?}");
    }
    assert!(!fail_point.is_armed());
    test.until(|_| true).await;
    let (rows, events) = (test.rows().await - rows - 1, test.events(ada).await.len() - events - 1);
    let ended = test.sessions.get(ada, to_process).await.expect("is there").end_time.is_some();
    // A session, two detections of four rows, one with its suggestion, and feedback; an event each, and one for the end.
    assert!(
        [(0, 0, false), (1 + 2 * 4 + 5 + 1, 1 + 2 + 2 + 1, true)].contains(&(rows, events, ended)),
        "{rows} {events} {ended}"
    );
    ended
}

#[tokio::test]
async fn a_batch_interrupted_by_a_panic_is_written_wholly_or_not_at_all() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        for (site, is_written) in [
            (FailPointSite::Locked, false),
            (FailPointSite::DetectionsInserted, false),
            (FailPointSite::Written, false),
            (FailPointSite::Committed, true),
        ] {
            assert_eq!(survives_panic_at(&test, site, ada).await, is_written, "{site:?}");
        }
    }
}
