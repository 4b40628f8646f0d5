//! What is read does not grow with the history of a user.

use super::{super::queries, *};
use crate::testing::{fill, pages_touched};

const SESSIONS: usize = 20_000;
/// Behind every id: the first page begins there.
const NEWEST: i64 = i64::MAX;

/// Inserts sessions with a detection each. Returns the user, and the id of the oldest session.
async fn long_history(db: &Database) -> (i64, i64) {
    let user = testing::user(db, "ada@example.org").await.0;
    let sessions =
        format!("INSERT INTO sessions (user_id, start_time) SELECT {user}, now() FROM generate_series(1, {SESSIONS})");
    let detections = "INSERT INTO emotion_detections (session_id, timestamp) SELECT id, start_time FROM sessions";
    let faces = "INSERT INTO facial_data (detection_id, emotion) \
                 SELECT id, (ARRAY['happy', 'sad', 'calm'])[1 + id % 3] FROM emotion_detections";
    fill(db, &[&sessions, detections, faces]).await;
    let mut reader = db.read_conn().await.expect("a connection");
    let oldest = "SELECT min(id) FROM sessions";
    let oldest = with_conn!(reader.connection(), c => sqlx::query_scalar(oldest).fetch_one(c).await);
    (user, oldest.expect("sessions"))
}

#[tokio::test]
async fn a_page_far_back_in_a_history_touches_few_pages() {
    let db = testing::databases().await.pop().expect("PostgreSQL");
    let (user, oldest) = long_history(&db).await;
    let pages =
        async |after: i64, skip: usize| pages_touched(&db, queries::PAGE, &format!("{user}, {after}, 6, {skip}")).await;
    let first = pages(NEWEST, 0).await;
    assert!(first < 100, "{first}");
    let behind_a_cursor = pages(oldest + 6, 0).await;
    assert!(behind_a_cursor <= first + first / 3, "{behind_a_cursor} against {first}");
    // Entries of the index before the offset are read, and perhaps their rows, but nothing that belongs to these, three pages a session or more.
    let skipped = pages(NEWEST, SESSIONS - 10).await;
    assert!(skipped < first + SESSIONS as u64 / 20, "{skipped} against {first}");
}
