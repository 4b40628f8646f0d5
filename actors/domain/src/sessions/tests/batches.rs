//! Many commands at once.

use std::collections::HashSet;

use super::{recording::detection, *};

#[tokio::test]
async fn each_of_many_callers_gets_its_own_session() {
    for test in contexts().await {
        let mut users = Vec::new();
        for number in 0..8 {
            users.push(test.user(&format!("{number}@example.org")).await);
        }
        let asking: Vec<_> = users.iter().cycle().take(200).map(|&user| (user, test.ask_to_start(user))).collect();
        let mut ids = HashSet::new();
        for (user, asked) in asking {
            let session = asked.await.expect("no panic").expect("starts");
            assert_eq!(session.user_id, user);
            assert_eq!(test.sessions.get(user, session.id).await.expect("is there"), session);
            ids.insert(session.id);
        }
        assert_eq!(ids.len(), 200);
        assert_eq!(test.events(users[0]).await.len(), 25);
        let seen = test.observed().await.expect("observed");
        assert!(seen["writes"]["batches"].as_u64() < Some(150) && seen["writes"]["committed"] == 200, "{seen}");
    }
}

#[tokio::test]
async fn the_largest_batches_fit_into_their_statements() {
    const MANY: usize = 600;
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let (held, ahead) = test.hold(ada).await;
        let asking: Vec<_> = (0..MANY).map(|_| test.ask_to_start(ada)).collect();
        test.until_waiting(MANY).await;
        test.release(held).await;
        let mut ids = vec![ahead.await.expect("no panic").expect("starts").id];
        for asked in asking {
            ids.push(asked.await.expect("no panic").expect("starts").id);
        }
        let (held, _ahead) = test.hold(ada).await;
        let ending = |&id| test.ask(move |sessions| async move { sessions.end(ada, id).await });
        let ends: Vec<_> = ids.iter().map(ending).collect();
        test.until_waiting(MANY + 1).await;
        let deleting = |&id| test.ask(move |sessions| async move { sessions.delete(ada, id).await });
        let deletes: Vec<_> = ids.iter().map(deleting).collect();
        test.until_waiting(2 * (MANY + 1)).await;
        test.release(held).await;
        for (ended, deleted) in ends.into_iter().zip(deletes) {
            assert!(ended.await.expect("no panic").expect("ends").end_time.is_some());
            deleted.await.expect("no panic").expect("deletes");
        }
        assert_eq!(test.sessions.count(ada).await.expect("counts"), 1, "the one ahead");
        assert_eq!(test.events(ada).await.len(), 3 * (MANY + 1) + 1);
        assert_eq!(test.observed().await.expect("observed")["writes"]["batches_split"], 0);
    }
}

/// A batch takes four commands, and keys are in the order of the batches.
#[tokio::test]
async fn a_command_waits_for_one_command_of_each_other_user_however_many_those_have_queued() {
    for test in contexts_with(Settings { max_batch_rows: 4, ..Settings::default() }).await {
        let [ada, bob, carol] =
            [test.user("ada@x.org").await, test.user("bob@x.org").await, test.user("c@x.org").await];
        let (held, ahead) = test.hold(carol).await;
        let of_ada: Vec<_> = (0..20).map(|_| test.ask_to_start(ada)).collect();
        test.until_waiting(20).await;
        let of_bob = test.ask_to_start(bob);
        test.until_waiting(21).await;
        test.release(held).await;
        ahead.await.expect("no panic").expect("starts");
        let of_bob = of_bob.await.expect("no panic").expect("starts").id;
        let mut before = 0;
        for asked in of_ada {
            before += usize::from(asked.await.expect("no panic").expect("starts").id < of_bob);
        }
        assert!(before < 4, "{before} of Ada's 20 were written before Bob's one");
    }
}

#[tokio::test]
async fn within_a_batch_one_users_commands_keep_their_order() {
    for test in contexts().await {
        let (ada, bob) = (test.user("ada@example.org").await, test.user("bob@example.org").await);
        let (first, second) = (test.start(ada).await.id, test.start(ada).await.id);
        let (held, ahead) = test.hold(bob).await;
        let deleted = test.ask(move |sessions| async move { sessions.delete(ada, first).await });
        test.until_waiting(1).await;
        let too_late = test.ask(move |sessions| async move { sessions.end(ada, first).await });
        test.until_waiting(2).await;
        let ended = test.ask(move |sessions| async move { sessions.end(ada, second).await });
        test.until_waiting(3).await;
        let again = test.ask(move |sessions| async move { sessions.end(ada, second).await });
        test.until_waiting(4).await;
        let third = test.ask_to_start(ada);
        test.until_waiting(5).await;
        test.release(held).await;

        ahead.await.expect("no panic").expect("starts");
        deleted.await.expect("no panic").expect("deletes");
        assert!(matches!(too_late.await.expect("no panic"), Err(SessionError::NotFound)));
        let ended = ended.await.expect("no panic").expect("ends");
        assert_eq!(again.await.expect("no panic").expect("has ended"), ended);
        let third = third.await.expect("no panic").expect("starts").id;
        let events = [
            format!("session.deleted session/{first}"),
            format!("session.ended session/{second}"),
            format!("session.started session/{third}"),
        ];
        assert_eq!(test.events(ada).await[2..], events);
        assert_eq!(test.observed().await.expect("observed")["writes"]["batches"], 4, "two alone, one ahead, one batch");
    }
}

#[tokio::test]
async fn within_a_batch_another_users_commands_find_nothing() {
    for test in contexts().await {
        let (ada, bob) = (test.user("ada@example.org").await, test.user("bob@example.org").await);
        let (ended, deleted) = (test.start(ada).await.id, test.start(ada).await.id);
        let (held, _ahead) = test.hold(bob).await;
        let mut asking = Vec::new();
        for (user, waiting) in [(bob, 2), (ada, 4)] {
            let end = test.ask(move |sessions| async move { sessions.end(user, ended).await.map(drop) });
            let delete = test.ask(move |sessions| async move { sessions.delete(user, deleted).await.map(drop) });
            test.until_waiting(waiting).await;
            asking.extend([end, delete]);
        }
        test.release(held).await;
        let mut found = Vec::new();
        for asked in asking {
            found.push(!matches!(asked.await.expect("no panic"), Err(SessionError::NotFound)));
        }
        assert_eq!(found, [false, false, true, true], "Bob's two, then Ada's");
        assert_eq!((test.events(ada).await.len(), test.events(bob).await.len()), (4, 1));
    }
}

#[tokio::test]
async fn pending_commands_are_written_when_the_tracker_stops() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let (held, ahead) = test.hold(ada).await;
        let asking: Vec<_> = (0..20).map(|_| test.ask_to_start(ada)).collect();
        test.until_waiting(20).await;
        let tree = test.tree.clone();
        let stopping = tokio::spawn(async move { tree.stop(Duration::from_secs(10)).await });
        test.release(held).await;
        stopping.await.expect("stops");
        for asked in asking.into_iter().chain([ahead]) {
            asked.await.expect("no panic").expect("is written");
        }
    }
}

/// Locks the row of this table and id until the transaction ends.
async fn lock_row(test: &TestContext, sql: &'static str, id: i64) -> Tx {
    let mut tx = test.db.begin().await.expect("begins");
    tx.on_postgres(sqlx::query(sql).bind(id)).await.expect("locks");
    tx
}

#[tokio::test]
async fn a_locked_session_delays_its_own_commands_alone_and_they_keep_their_order() {
    for test in contexts().await {
        let Database::Postgres(_) = &test.db else { continue };
        let (ada, bob) = (test.user("ada@example.org").await, test.user("bob@example.org").await);
        let (locked, free) = (test.start(ada).await.id, test.start(ada).await.id);
        let holder = lock_row(&test, "SELECT id FROM sessions WHERE id = $1 FOR UPDATE", locked.0).await;
        let ending = test.ask(move |sessions| async move { sessions.end(ada, locked).await });
        test.until(|seen| seen["held"] == 1).await;
        let deleting = test.ask(move |sessions| async move { sessions.delete(ada, locked).await });
        let others = async {
            test.start(bob).await;
            test.sessions.end(ada, free).await.expect("ends");
        };
        tokio::time::timeout(Duration::from_secs(2), others).await.expect("nothing else waits");
        assert!(!ending.is_finished() && !deleting.is_finished());
        holder.rollback().await.expect("releases it");
        assert!(ending.await.expect("no panic").expect("ends before it is deleted").end_time.is_some());
        deleting.await.expect("no panic").expect("deletes");
    }
}

#[tokio::test]
async fn a_locked_user_delays_nobody_elses_starts() {
    for test in contexts().await {
        let Database::Postgres(_) = &test.db else { continue };
        let (ada, bob) = (test.user("ada@example.org").await, test.user("bob@example.org").await);
        let holder = lock_row(&test, "SELECT id FROM users WHERE id = $1 FOR UPDATE", ada.0).await;
        let starting = test.ask_to_start(ada);
        test.until(|seen| seen["held"] == 1).await;
        tokio::time::timeout(Duration::from_secs(2), test.start(bob)).await.expect("Bob does not wait");
        assert!(!starting.is_finished());
        holder.rollback().await.expect("releases it");
        starting.await.expect("no panic").expect("starts");
    }
}

/// Asks to record that many detections.
fn ask_to_detect(
    test: &TestContext,
    user: UserId,
    session: SessionId,
    number: usize,
) -> JoinHandle<Result<DetectionsRecorded, SessionError>> {
    let all = (0..number).map(|_| detection("calm", "")).collect();
    test.ask(move |sessions| async move { sessions.detect(command(user, None), session, all).await })
}

#[tokio::test]
async fn a_large_command_delays_its_own_session_alone_and_keeps_its_place() {
    for test in contexts().await {
        let Database::Postgres(_) = &test.db else { continue };
        let (ada, bob) = (test.user("ada@example.org").await, test.user("bob@example.org").await);
        let (large, other) = (test.start(ada).await.id, test.start(ada).await.id);
        let mut holder = test.db.begin().await.expect("begins");
        holder.on_postgres(sqlx::query("LOCK TABLE facial_data IN SHARE MODE")).await.expect("locks");
        let [first, second] = [(), ()].map(|()| ask_to_detect(&test, ada, large, 200));
        test.until(|seen| seen["large"] == 1).await;
        let ending = test.ask(move |sessions| async move { sessions.end(ada, large).await });
        test.until(|seen| seen["held"] == 1).await;
        let others = async {
            test.start(bob).await;
            test.sessions.end(ada, other).await.expect("ends");
        };
        tokio::time::timeout(Duration::from_secs(2), others).await.expect("nothing else waits");
        assert!(!first.is_finished() && !second.is_finished() && !ending.is_finished());
        holder.rollback().await.expect("releases it");
        for recording in [first, second] {
            assert_eq!(recording.await.expect("no panic").expect("records before the end").ids.len(), 200);
        }
        assert!(ending.await.expect("no panic").expect("ends").end_time.is_some());
        let events = test.events(ada).await;
        assert_eq!(events.last(), Some(&format!("session.ended session/{large}")));
    }
}

#[tokio::test]
async fn large_commands_are_written_when_the_tracker_stops() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let id = test.start(ada).await.id;
        let (held, ahead) = test.hold(ada).await;
        let asking: Vec<_> = (0..3).map(|_| ask_to_detect(&test, ada, id, 200)).collect();
        test.until_waiting(3).await;
        let ending = test.ask(move |sessions| async move { sessions.end(ada, id).await });
        test.until_waiting(4).await;
        let tree = test.tree.clone();
        let stopping = tokio::spawn(async move { tree.stop(Duration::from_secs(10)).await });
        test.release(held).await;
        stopping.await.expect("stops");
        for asked in asking {
            asked.await.expect("no panic").expect("is written");
        }
        for asked in [ahead, ending] {
            asked.await.expect("no panic").expect("is written");
        }
        assert_eq!(test.events(ada).await.last(), Some(&format!("session.ended session/{id}")));
    }
}

#[tokio::test]
async fn a_large_command_whose_row_is_held_keeps_its_place_and_is_written_when_it_is_free() {
    for test in contexts().await {
        let Database::Postgres(_) = &test.db else { continue };
        let ada = test.user("ada@example.org").await;
        let id = test.start(ada).await.id;
        let holder = lock_row(&test, "SELECT id FROM sessions WHERE id = $1 FOR UPDATE", id.0).await;
        let [first, second] = [(), ()].map(|()| ask_to_detect(&test, ada, id, 200));
        test.until(|seen| seen["held"].as_u64() == Some(2)).await;
        let ending = test.ask(move |sessions| async move { sessions.end(ada, id).await });
        test.until(|seen| seen["held"].as_u64() == Some(3)).await;
        holder.rollback().await.expect("releases it");
        for recording in [first, second] {
            recording.await.expect("no panic").expect("records");
        }
        ending.await.expect("no panic").expect("ends");
        let events = test.events(ada).await;
        assert_eq!(events.last(), Some(&format!("session.ended session/{id}")), "{events:?}");
    }
}

#[tokio::test]
async fn a_large_command_does_not_overtake_a_deletion_that_takes_several_batches() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let id = test.start(ada).await.id;
        for _ in 0..3 {
            ask_to_detect(&test, ada, id, 1000).await.expect("no panic").expect("records");
        }
        let (held, ahead) = test.hold(ada).await;
        let deleting = test.ask(move |sessions| async move { sessions.delete(ada, id).await });
        test.until_waiting(1).await;
        let recording = ask_to_detect(&test, ada, id, 200);
        test.until_waiting(2).await;
        test.release(held).await;
        deleting.await.expect("no panic").expect("deletes");
        let too_late = recording.await.expect("no panic");
        assert!(matches!(too_late, Err(SessionError::NotFound)), "{too_late:?}");
        ahead.await.expect("no panic").expect("starts");
    }
}
