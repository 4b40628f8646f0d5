//! Detections at any time, written to the database directly: the API accepts only recent ones.

use faceofmind_base::Timestamp;
use faceofmind_db::with_conn;

use super::TestApp;

impl TestApp {
    /// Inserts `count` detections of this emotion into a session, all at this time. Gives the id of the last one.
    pub(crate) async fn detect(&self, session: i64, at: jiff::Timestamp, emotion: &str, count: usize) -> i64 {
        let detection = "INSERT INTO emotion_detections (session_id, timestamp) VALUES ($1, $2) RETURNING id";
        let face = "INSERT INTO facial_data (detection_id, emotion) VALUES ($1, $2)";
        let mut id = 0;
        let mut tx = self.database().begin().await.expect("the database answers");
        for _ in 0..count {
            (id,) = with_conn!(tx.connection(), c =>
                sqlx::query_as(detection).bind(session).bind(Timestamp::from(at)).fetch_one(c).await)
            .expect("inserts");
            with_conn!(tx.connection(), c => sqlx::query(face).bind(id).bind(emotion).execute(c).await.map(drop))
                .expect("inserts");
        }
        tx.commit().await.expect("commits");
        id
    }

    /// Runs a statement with an id as `$1` and a text as `$2`.
    pub(crate) async fn execute_with(&self, sql: &'static str, id: i64, text: &str) {
        let mut tx = self.database().begin().await.expect("the database answers");
        with_conn!(tx.connection(), c => sqlx::query(sql).bind(id).bind(text).execute(c).await.map(drop))
            .expect("runs");
        tx.commit().await.expect("commits");
    }
}
