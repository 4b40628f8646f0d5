//! When something fails, every caller fails at once, and nothing is half-written.

use faceofmind_db::StoreError;

use super::*;

#[tokio::test]
async fn a_bad_row_fails_alone() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let (held, ahead) = test.hold(ada).await;
        let unknown = UserId(999_999);
        let asking: Vec<_> = (0..10).map(|_| test.ask_to_start(ada)).collect();
        test.until_waiting(10).await;
        let bad = test.ask_to_start(unknown);
        test.until_waiting(11).await;
        let more: Vec<_> = (0..10).map(|_| test.ask_to_start(ada)).collect();
        test.until_waiting(21).await;
        test.release(held).await;

        for asked in asking.into_iter().chain(more).chain([ahead]) {
            asked.await.expect("no panic").expect("is good");
        }
        assert!(matches!(bad.await.expect("no panic"), Err(SessionError::UserNotFound)));
        assert_eq!((test.sessions.count(ada).await.expect("counts"), test.events(ada).await.len()), (21, 21));
        assert!(test.events(unknown).await.is_empty());
        assert_eq!(test.observed().await.expect("observed")["writes"]["batches_split"], 1);
    }
}

#[tokio::test]
async fn an_unreadable_stored_response_fails_alone() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let key = IdempotencyKey::new(ada, "POST /api/v1/sessions/", "k", b"{}");
        test.sessions.start(command(ada, Some(key.clone()))).await.expect("starts");
        test.texts("UPDATE idempotency_keys SET answer = $2 WHERE user_id = $1", ada.0, "?").await;
        let (held, ahead) = test.hold(ada).await;
        let unreadable = test.ask(move |sessions| async move { sessions.start(command(ada, Some(key))).await });
        test.until_waiting(1).await;
        let good = test.ask_to_start(ada);
        test.until_waiting(2).await;
        test.release(held).await;
        assert!(matches!(unreadable.await.expect("no panic"), Err(SessionError::Store(StoreError::Corrupt(_)))));
        good.await.expect("no panic").expect("is good");
        ahead.await.expect("no panic").expect("is good");
    }
}

/// One query reads the sessions that were asked for while another one was in flight.
#[tokio::test]
async fn a_session_that_cannot_be_read_fails_alone() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let (bad, good) = (test.start(ada).await.id, test.start(ada).await);
        let unreadable = if matches!(test.db, Database::Sqlite(..)) { "'noon'" } else { "'-infinity'" };
        test.run(&format!("UPDATE sessions SET start_time = {unreadable} WHERE id = {bad}")).await;
        let held = test.hold_reads().await;
        let get = |id| test.ask(move |sessions| async move { sessions.get(ada, id).await });
        let readable = [get(good.id), get(good.id)];
        let (unreadable, unknown) = (get(bad), get(SessionId(999_999)));
        test.until(|seen| seen["session_reads"] == 3).await;
        drop(held);

        assert!(matches!(unreadable.await.expect("no panic"), Err(SessionError::Store(StoreError::Corrupt(_)))));
        assert!(matches!(unknown.await.expect("no panic"), Err(SessionError::NotFound)));
        for read in readable {
            assert_eq!(read.await.expect("no panic").expect("reads"), good);
        }
    }
}

/// The connection of a query may be silent until its deadline.
#[tokio::test]
async fn a_query_that_takes_long_holds_up_no_later_read() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let session = test.start(ada).await;
        let held = test.hold_reads().await;
        let get = || test.ask(move |sessions| async move { sessions.get(ada, session.id).await });
        let silent = get();
        tokio::time::sleep(Duration::from_millis(600)).await;
        let later = get();
        test.until(|seen| seen["tasks"] == 2).await;
        drop(held);
        for read in [silent, later] {
            assert_eq!(read.await.expect("no panic").expect("reads"), session);
        }
    }
}

#[tokio::test]
async fn when_the_database_is_gone_every_caller_may_try_again() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let (held, ahead) = test.hold(ada).await;
        let asking: Vec<_> = (0..5).map(|_| test.ask_to_start(ada)).collect();
        test.until_waiting(5).await;
        tokio::join!(test.db.close(), test.release(held));
        for asked in asking.into_iter().chain([ahead]) {
            match asked.await.expect("no panic") {
                Err(SessionError::Store(StoreError::Unavailable(_) | StoreError::TimedOut(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_command_whose_caller_has_gone_is_not_carried_out() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let (held, ahead) = test.hold(ada).await;
        let left = test.ask_to_start(ada);
        test.until_waiting(1).await;
        left.abort();
        left.await.expect_err("went away");
        test.release(held).await;
        ahead.await.expect("no panic").expect("starts");
        test.start(ada).await;
        assert_eq!(test.sessions.count(ada).await.expect("counts"), 2);
    }
}

#[tokio::test]
async fn when_the_tracker_panics_every_caller_in_the_batch_fails_at_once() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let (held, ahead) = test.hold(ada).await;
        let asking: Vec<_> = (0..30).map(|_| test.ask_to_start(ada)).collect();
        test.until_waiting(30).await;
        test.tree.children()[0].panic();
        for asked in asking.into_iter().chain([ahead]) {
            let reply = tokio::time::timeout(Duration::from_secs(2), asked).await.expect("at once").expect("no panic");
            assert!(matches!(reply, Err(SessionError::Ask(AskError::Unavailable("session_tracker")))), "{reply:?}");
        }
        test.release(held).await;
        test.until(|_| true).await;
        let id = test.start(ada).await.id;
        assert_eq!(test.events(ada).await, [format!("session.started session/{id}")], "nothing is half-written");
    }
}

#[tokio::test]
async fn what_was_confirmed_before_a_panic_is_stored() {
    for test in contexts_with(Settings { max_batch_rows: 4, ..Settings::default() }).await {
        let ada = test.user("ada@example.org").await;
        let mut kept = Vec::new();
        let mut lost = 0;
        for _ in 0..10 {
            let asking: Vec<_> = (0..40).map(|_| test.ask_to_start(ada)).collect();
            test.until(|seen| seen["writes"]["committed"].as_u64() > Some(0)).await;
            test.tree.children()[0].panic();
            for asked in asking {
                match asked.await.expect("no panic") {
                    Ok(started) => kept.push(started),
                    Err(SessionError::Ask(AskError::Unavailable(_) | AskError::OutcomeUnknown(_))) => lost += 1,
                    Err(other) => panic!("{other:?}"),
                }
            }
            test.until(|seen| seen["writes"]["batches"] == 0).await;
        }
        assert!(!kept.is_empty() && lost > 0, "the panics interrupted batches: {} kept, {lost} lost", kept.len());
        for session in &kept {
            assert_eq!(test.sessions.get(ada, session.id).await.expect("is there"), *session);
        }
        let there = test.sessions.count(ada).await.expect("counts");
        assert!((kept.len() as u64..=400).contains(&there), "{there}");
        assert_eq!(test.events(ada).await.len() as u64, there, "an event each");
    }
}
