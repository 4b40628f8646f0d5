//! The counts beside the detections: they are kept while others write, and follow what was not counted.

use std::collections::BTreeSet;

use super::{
    super::{counting, store},
    recording::detection,
    *,
};

/// What the counts say, and what a count of the detections by their newest faces says, in counted sessions.
const KEPT: &str = "SELECT session_id || ' ' || user_id || ' ' || emotion || ' ' || sum(detections) || ' ' || max(detection_id) \
    FROM emotion_counts c WHERE NOT EXISTS (SELECT 1 FROM uncounted_sessions u WHERE u.session_id = c.session_id) \
    GROUP BY session_id, user_id, emotion";
const RIGHT: &str = "SELECT d.session_id || ' ' || s.user_id || ' ' || f.emotion || ' ' || count(*) || ' ' || max(d.id) \
    FROM sessions s JOIN emotion_detections d ON d.session_id = s.id JOIN facial_data f ON f.detection_id = d.id \
    WHERE NOT EXISTS (SELECT 1 FROM uncounted_sessions u WHERE u.session_id = d.session_id) \
    AND NOT EXISTS (SELECT 1 FROM facial_data newer WHERE newer.detection_id = d.id AND newer.id > f.id) \
    GROUP BY d.session_id, s.user_id, f.emotion";
const UNCOUNTED: &str = "SELECT count(*) FROM uncounted_sessions";
const COUNTS: &str = "SELECT count(*) FROM emotion_counts";
const WRITERS: usize = 4;
const WRITES: usize = 60;

impl TestContext {
    async fn counted(&self, sql: &'static str) -> BTreeSet<String> {
        let mut reader = self.db.read_conn().await.expect("a connection");
        let texts: Vec<String> =
            with_conn!(reader.connection(), c => sqlx::query_scalar(sql).fetch_all(c).await).expect("texts");
        texts.into_iter().collect()
    }

    async fn record(&self, user: UserId, session: SessionId, emotions: &[&str]) {
        let detections = emotions.iter().map(|emotion| detection(emotion, "")).collect();
        self.sessions.detect(command(user, None), session, detections).await.expect("records");
    }

    async fn assert_counts_are_right(&self) {
        assert_eq!(self.counted(KEPT).await, self.counted(RIGHT).await);
    }

    /// Makes what was recorded look as it does after migration 13.
    async fn uncount_all(&self) {
        self.run("DELETE FROM emotion_counts").await;
        self.run("DELETE FROM uncounted_sessions").await;
        self.run("INSERT INTO uncounted_sessions (session_id, user_id) SELECT id, user_id FROM sessions").await;
    }
}

#[tokio::test]
async fn a_session_is_counted_with_what_is_recorded_and_forgotten_when_it_is_deleted() {
    for test in contexts().await {
        let user = test.user("ada@example.org").await;
        let session = test.start(user).await.id;
        test.record(user, session, &["happy", "sad", "happy"]).await;
        assert_eq!((test.number(COUNTS).await, test.number(UNCOUNTED).await), (2, 0));
        test.assert_counts_are_right().await;
        assert_eq!(test.sessions.list(user, 0, 5).await.expect("lists")[0].dominant_emotion.as_deref(), Some("happy"));
        test.sessions.delete(user, session).await.expect("deletes");
        assert_eq!((test.number(COUNTS).await, test.number(UNCOUNTED).await), (0, 0));
        test.tree.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn older_sessions_are_counted_but_none_that_another_writes_into_or_that_is_gone() {
    for test in contexts().await {
        let (ada, bob) = (test.user("ada@example.org").await, test.user("bob@example.org").await);
        for user in [ada, bob] {
            let session = test.start(user).await.id;
            test.record(user, session, &["happy"]).await;
        }
        test.uncount_all().await;
        // SQLite has one writer, so nothing is written meanwhile.
        if let Database::Postgres(_) = test.db {
            let mut writing = test.db.begin().await.expect("begins");
            let lock = "SELECT id FROM sessions WHERE user_id = $1 FOR UPDATE";
            with_conn!(writing.connection(), c => sqlx::query(lock).bind(ada).execute(c).await.map(drop))
                .expect("locks");
            counting::count_all(&test.db).await.expect("counts");
            assert_eq!((test.number(COUNTS).await, test.number(UNCOUNTED).await), (1, 1));
            writing.rollback().await.expect("ends");
            test.uncount_all().await;
        }
        let portion = counting::next(&test.db, SessionId(0)).await.expect("reads");
        assert_eq!(portion.len(), 2);
        let mut erasing = test.db.begin().await.expect("begins");
        assert!(!store::erase(&mut erasing, bob, 1000).await.expect("erases"));
        erasing.commit().await.expect("commits");
        assert_eq!(test.number(UNCOUNTED).await, 1, "what is gone is not to be counted");
        counting::count_some(&test.db, &portion).await.expect("counts");
        assert_eq!((test.number(COUNTS).await, test.number(UNCOUNTED).await), (1, 0));
        test.assert_counts_are_right().await;
        test.tree.stop(Duration::from_secs(5)).await;
    }
}

/// Two programs write into the same sessions without their locks, and delete there, while two nodes count.
#[tokio::test(flavor = "multi_thread")]
async fn counts_are_right_whatever_is_written_while_sessions_are_counted() {
    for test in contexts().await {
        let user = test.user("ada@example.org").await;
        let mut sessions = Vec::new();
        for _ in 0..3 {
            sessions.push(test.start(user).await.id.0);
        }
        test.uncount_all().await;
        let (test, sessions) = (&test, &sessions);
        let writing = futures_util::future::join_all((0..WRITERS).map(|writer| async move {
            for number in 0..WRITES {
                let session = sessions[(writer + number) % sessions.len()];
                test.run(&format!(
                    "INSERT INTO emotion_detections (session_id, timestamp) SELECT id, start_time FROM sessions WHERE id = {session}"
                ))
                .await;
                test.run("INSERT INTO facial_data (detection_id, emotion) SELECT max(id), 'calm' FROM emotion_detections d \
                          WHERE NOT EXISTS (SELECT 1 FROM facial_data f WHERE f.detection_id = d.id) HAVING max(id) IS NOT NULL")
                    .await;
                if number % 7 == writer {
                    test.run("DELETE FROM emotion_detections WHERE id = (SELECT min(id) FROM emotion_detections)").await;
                }
            }
        }));
        let counting = async {
            for _ in 0..WRITES {
                let (one, other) = tokio::join!(counting::count_all(&test.db), counting::count_all(&test.db));
                one.and(other).expect("counts");
            }
        };
        tokio::join!(writing, counting);
        counting::count_all(&test.db).await.expect("counts");
        assert_eq!(test.number(UNCOUNTED).await, 0);
        test.assert_counts_are_right().await;
    }
}
