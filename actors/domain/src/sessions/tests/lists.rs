//! Lists of sessions.

use super::*;

#[tokio::test]
async fn sessions_are_listed_newest_first_with_a_summary() {
    for test in contexts().await {
        let (ada, bob) = (test.user("ada@example.org").await, test.user("bob@example.org").await);
        let plain = test.start(ada).await;
        let bobs = test.start(bob).await;
        test.fill(bobs.id).await;
        let full = test.start(ada).await;
        let first = test.detect(full.id, "Happy").await;
        test.detect(full.id, "SAD").await;
        let third = test.detect(full.id, "sad").await;
        test.suggest(third, "- I hear you. It is hard.\n- Breathe.").await;
        test.suggest(first, "- Later.").await;
        test.sessions.end(ada, full.id).await.expect("ends");

        let listed = test.sessions.list(ada, 0, 5).await.expect("lists");

        let summary = |listed: &SessionSummary| (listed.id, listed.dominant_emotion.clone(), listed.suggestion.clone());
        assert_eq!(
            listed.iter().map(summary).collect::<Vec<_>>(),
            [(full.id, Some("sad".into()), Some("I hear you.".into())), (plain.id, None, None)]
        );
        assert_eq!((listed[0].start_time, listed[0].user_id), (full.start_time, ada));
        assert!(listed[0].end_time.is_some() && listed[1].end_time.is_none());
    }
}

#[tokio::test]
async fn of_equally_frequent_emotions_the_most_recent_dominates() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let id = test.start(ada).await.id;
        for emotion in ["Ängstlich", "happy", "Happy", "ÄNGSTLICH"] {
            test.detect(id, emotion).await;
        }
        let listed = test.sessions.list(ada, 0, 1).await.expect("lists");
        assert_eq!(listed[0].dominant_emotion.as_deref(), Some("ängstlich"));
    }
}

#[tokio::test]
async fn a_list_skips_and_limits() {
    for test in contexts().await {
        let ada = test.user("ada@example.org").await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.insert(0, test.start(ada).await.id);
        }
        let page = async |after, skip, limit| {
            let page = test.sessions.page(PageRequest { reader: ada, after, skip, limit }).await.expect("lists");
            (page.results.into_iter().map(|listed| listed.id).collect::<Vec<_>>(), page.next)
        };
        assert_eq!(page(None, 0, 2).await, (ids[..2].to_vec(), Some(ids[1])));
        assert_eq!(page(Some(ids[1]), 0, 2).await, (ids[2..4].to_vec(), Some(ids[3])));
        assert_eq!(page(Some(ids[1]), 1, 2).await, (ids[3..].to_vec(), None));
        assert_eq!(page(None, 2, 100).await, (ids[2..].to_vec(), None));
        assert_eq!(page(None, 5, 5).await, (vec![], None));
        assert_eq!(test.sessions.count(ada).await.expect("counts"), 5);
    }
}

#[tokio::test]
async fn reads_do_not_wait_for_a_pending_write() {
    for test in contexts().await.into_iter().filter(|test| matches!(test.db, Database::Sqlite(..))) {
        let ada = test.user("ada@example.org").await;
        let (held, ahead) = test.hold(ada).await;
        assert_eq!(test.sessions.count(ada).await.expect("counts"), 0);
        test.release(held).await;
        ahead.await.expect("no panic").expect("starts");
    }
}

/// The pool has four connections. One holds the lock that the reads wait for.
#[tokio::test]
async fn long_reads_leave_connections_for_other_statements() {
    for test in contexts().await.into_iter().filter(|test| matches!(test.db, Database::Postgres(_))) {
        let (ada, eve) = (test.user("ada@example.org").await, test.user("eve@example.org").await);
        let bob = test.user("bob@example.org").await;
        let sessions = [(ada, test.start(ada).await.id), (eve, test.start(eve).await.id)];
        let mut lock = test.db.begin().await.expect("begins");
        lock.on_postgres(sqlx::query("LOCK TABLE emotion_detections")).await.expect("locks");
        // One user has one of the two places at a time.
        let asking: Vec<_> = (0..8)
            .map(|number| {
                let (user, id) = sessions[number % 2];
                test.ask(move |sessions| async move { sessions.history(user, id).await })
            })
            .collect();
        testing::until("six wait until others have been read", async || test.reads.waiting() == 6).await;
        let others = async {
            let started = test.start(bob).await;
            assert_eq!(test.sessions.get(bob, started.id).await.expect("is there"), started);
        };
        tokio::time::timeout(Duration::from_secs(2), others).await.expect("a connection is left");
        assert!(asking.iter().all(|asked| !asked.is_finished()));
        lock.rollback().await.expect("releases it");
        for asked in asking {
            asked.await.expect("no panic").expect("reads");
        }
    }
}
