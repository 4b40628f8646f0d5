//! What is read does not grow with the history of a user.

use super::{
    super::{charts, queries},
    *,
};
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
    let oldest = "SELECT min(id)::bigint FROM sessions";
    let oldest = with_conn!(reader.connection(), c => sqlx::query_scalar(oldest).fetch_one(c).await);
    (user, oldest.expect("sessions"))
}

/// Twenty detections of today, and as many sessions of older days as there are.
#[tokio::test]
async fn a_chart_touches_no_more_pages_the_longer_the_history_is() {
    let db = testing::databases().await.pop().expect("PostgreSQL");
    let user = testing::user(&db, "grace@example.org").await.0;
    let today = format!(
        "INSERT INTO sessions (user_id, start_time) SELECT {user}, '2026-11-23T08:00:00Z' FROM generate_series(1, 20)"
    );
    let detections = "INSERT INTO emotion_detections (session_id, timestamp) SELECT id, start_time FROM sessions";
    let faces = "INSERT INTO facial_data (detection_id, emotion) SELECT id, 'happy' FROM emotion_detections";
    fill(&db, &[&today, detections, faces]).await;
    let pages = async || {
        let sql = charts::COUNT[0].as_str();
        let day = "'2026-11-23T00:00:00Z', '2026-11-24T00:00:00Z'";
        let [first, end] = [1_795_392_000 / 900, 1_795_478_400 / 900];
        pages_touched(&db, sql, &format!("{user}, {day}, {first}, {end}")).await
    };
    let short = pages().await;
    let older = format!(
        "INSERT INTO sessions (user_id, start_time) \
         SELECT {user}, timestamptz '2026-11-22T08:00:00Z' - n * interval '1 hour' FROM generate_series(1, {SESSIONS}) n"
    );
    let detections = "INSERT INTO emotion_detections (session_id, timestamp) \
                      SELECT id, start_time FROM sessions WHERE start_time < '2026-11-23'";
    let faces = "INSERT INTO facial_data (detection_id, emotion) SELECT id, 'sad' FROM emotion_detections d \
                 WHERE NOT EXISTS (SELECT 1 FROM facial_data f WHERE f.detection_id = d.id)";
    fill(&db, &[&older, detections, faces]).await;
    let long = pages().await;
    assert!(long <= short + 20, "{long} against {short}");
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

/// The first page holds six sessions with suggestions.
#[tokio::test]
async fn a_page_of_sessions_touches_no_more_pages_the_more_detections_they_have() {
    let db = testing::databases().await.pop().expect("PostgreSQL");
    let user = testing::user(&db, "ada@example.org").await.0;
    let sessions =
        format!("INSERT INTO sessions (user_id, start_time) SELECT {user}, now() FROM generate_series(1, 5000)");
    let detections = "INSERT INTO emotion_detections (session_id, timestamp) SELECT id, start_time FROM sessions";
    let suggestions =
        "INSERT INTO wellness_suggestions (detection_id, suggestion) SELECT id, '- Rest.' FROM emotion_detections";
    let pages = async || pages_touched(&db, queries::PAGE, &format!("{user}, {NEWEST}, 7, 0")).await;
    fill(&db, &[&sessions, detections, suggestions]).await;
    let few = pages().await;
    assert!(few < 120, "{few}");
    let many_detections =
        format!("{detections}, generate_series(1, 4000) WHERE id > (SELECT max(id) - 10 FROM sessions)");
    let many_suggestions = format!("{suggestions} WHERE id % 10 = 0");
    fill(&db, &[&many_detections, &many_suggestions]).await;
    let many = pages().await;
    assert!(many <= few + few / 2, "{many} against {few}");
    fill(&db, &["INSERT INTO unlisted_suggestions VALUES (1, 1)"]).await;
    let among_detections = pages().await;
    assert!(among_detections > 10 * many, "{among_detections} against {many}");
}
