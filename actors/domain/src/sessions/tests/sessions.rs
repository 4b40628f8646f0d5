//! One session, from its start to its end.

use super::*;

#[tokio::test]
async fn a_session_is_started_and_ended_with_an_event_each() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let started = test.start(ada).await;
        assert_eq!((started.user_id, started.end_time), (ada, None));
        assert_eq!(test.sessions.get(ada, started.id).await.expect("is there"), started);

        test.clock.advance(Duration::from_secs(60));
        let ended = test.sessions.end(ada, started.id).await.expect("ends");
        assert!(ended.end_time.expect("ended").since(started.start_time) >= Duration::from_secs(60));
        assert_eq!(test.sessions.get(ada, started.id).await.expect("is there"), ended);
        let events =
            [format!("session.started session/{}", started.id), format!("session.ended session/{}", started.id)];
        assert_eq!(test.events(ada).await, events);
    }
}

#[tokio::test]
async fn a_second_end_changes_nothing_and_records_no_event() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let id = test.start(ada).await.id;
        let ended = test.sessions.end(ada, id).await.expect("ends");
        test.clock.advance(Duration::from_secs(60));
        assert_eq!(test.sessions.end(ada, id).await.expect("has ended"), ended);
        assert_eq!(test.events(ada).await.len(), 2, "started, ended");
    }
}

#[tokio::test]
async fn another_users_session_is_not_found() {
    for test in contexts().await {
        let (ada, bob) = (test.user("ada@example.org").await, test.user("bob@example.org").await);
        let id = test.start(ada).await.id;
        assert!(matches!(test.sessions.get(bob, id).await, Err(SessionError::NotFound)));
        assert!(matches!(test.sessions.end(bob, id).await, Err(SessionError::NotFound)));
        assert!(matches!(test.sessions.delete(bob, id).await, Err(SessionError::NotFound)));
        assert_eq!(test.sessions.get(ada, id).await.expect("untouched").end_time, None);
        assert_eq!((test.events(ada).await.len(), test.events(bob).await.len()), (1, 0));
        assert_eq!(test.sessions.count(bob).await.expect("counts"), 0);
    }
}

#[tokio::test]
async fn deleting_a_session_deletes_everything_recorded_in_it_and_nothing_else() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        test.without_cascades().await;
        let (kept, gone) = (test.start(ada).await.id, test.start(ada).await.id);
        test.fill(kept).await;
        let before = test.rows().await - 1;
        test.fill(gone).await;

        test.sessions.delete(ada, gone).await.expect("deletes");

        assert_eq!(test.rows().await, before);
        assert!(matches!(test.sessions.get(ada, gone).await, Err(SessionError::NotFound)));
        assert!(matches!(test.sessions.delete(ada, gone).await, Err(SessionError::NotFound)));
        assert_eq!(test.sessions.count(ada).await.expect("counts"), 1);
        assert_eq!(test.events(ada).await.last(), Some(&format!("session.deleted session/{gone}")));
    }
}

#[tokio::test]
async fn erasing_a_users_sessions_leaves_those_of_others() {
    for test in contexts().await {
        let (ada, bob) = (test.user("ada@example.org").await, test.user("bob@example.org").await);
        test.without_cascades().await;
        let kept = test.start(bob).await.id;
        test.fill(kept).await;
        let before = test.rows().await;
        for _ in 0..3 {
            let id = test.start(ada).await.id;
            test.fill(id).await;
        }
        let mut rows = vec![test.rows().await];
        loop {
            let mut tx = test.db.begin().await.expect("begins");
            let rows_remain = erase(&mut tx, ada, 1).await.expect("erases");
            tx.commit().await.expect("commits");
            rows.push(test.rows().await);
            if !rows_remain {
                break;
            }
        }
        assert!(rows[0] > rows[1] && rows[1] > before, "the first slice removes a part: {rows:?}");
        assert_eq!(rows.last(), Some(&before));
    }
}

#[tokio::test]
async fn others_write_between_the_portions_of_a_large_deletion() {
    let many = "INSERT INTO emotion_detections (session_id, timestamp) \
        WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10000) \
        SELECT $1, $2 FROM numbers RETURNING id";
    for test in contexts().await {
        let (ada, bob) = (test.user("ada@example.org").await, test.user("bob@example.org").await);
        let (large, kept) = (test.start(ada).await.id, test.start(ada).await.id);
        test.fill(kept).await;
        let before = test.rows().await - 1;
        test.sql(many, large.0).await;
        let deleted = test.ask(move |sessions| async move { sessions.delete(ada, large).await });
        let mut started = 0;
        while !deleted.is_finished() {
            test.start(bob).await;
            started += 1;
        }
        deleted.await.expect("no panic").expect("deletes");
        assert!(started >= 5, "{started} sessions started during ten portions");
        assert_eq!(test.rows().await, before + started);
        assert!(matches!(test.sessions.delete(bob, kept).await, Err(SessionError::NotFound)), "of another user");
    }
}
