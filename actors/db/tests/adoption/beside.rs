//! The predecessor's services, which go on beside this program, and the way back to them.

use super::*;

/// SQLAlchemy names every column without a default of the server, with NULL where the service gave nothing. Django names all.
const WRITES: [&str; 7] = [
    "INSERT INTO users (email, password, first_name, last_name, role, status, created_at) \
     VALUES ('late@example.com', 'h', 'La', 'Te', 'user', NULL, NULL)",
    "INSERT INTO sessions (user_id, start_time, end_time) VALUES (1, NULL, NULL)",
    "INSERT INTO emotion_detections (session_id, timestamp) VALUES (1, NULL)",
    "INSERT INTO community_posts (user_id, content, created_at, updated_at) VALUES (1, 'late', now(), NULL)",
    "INSERT INTO community_comments (post_id, user_id, content, created_at, updated_at) VALUES (1, 1, 'late', NULL, NULL)",
    "INSERT INTO reminders (user_id, title, description, reminder_time, is_active, created_at) VALUES (1, 'late', '', '2035-01-01', NULL, NULL)",
    "UPDATE community_posts SET content = 'later', updated_at = NULL WHERE content = 'late'",
];

#[tokio::test]
async fn what_other_programs_leave_null_is_filled() {
    for layout in ["sa", "sa-june", "hybrid"] {
        let db = legacy_postgres(layout, "").await;
        migrate(&db).await.expect("adopts");
        for sql in WRITES {
            faceofmind_testing::run(&db, sql).await;
        }
        assert_adopted(&db, layout).await;
        assert_eq!(
            number(&db, "SELECT count(*) FROM users WHERE email LIKE 'late@%' AND status = 'inactive'").await,
            1
        );
    }
}

/// FastAPI's post on Django's tables: `updated_at` is named with NULL.
#[tokio::test]
async fn posts_of_the_other_service_have_a_time_of_change() {
    for layout in ["dj", "dj-0001"] {
        let db = legacy_postgres(layout, "").await;
        migrate(&db).await.expect("adopts");
        faceofmind_testing::run(&db, WRITES[3]).await;
        assert_adopted(&db, layout).await;
    }
}

/// Columns are only added or relaxed, so the statements of the predecessor run as before.
#[tokio::test]
async fn the_predecessor_reads_and_writes_what_was_adopted() {
    for layout in LAYOUTS {
        let db = legacy_postgres(layout, "").await;
        let columns = "SELECT concat_ws(' ', table_name, column_name, data_type) FROM information_schema.columns \
            WHERE table_schema = 'public' ORDER BY 1";
        let before = texts(&db, columns).await;
        migrate(&db).await.expect("adopts");
        let after = texts(&db, columns).await;
        assert_eq!(before.iter().find(|column| !after.contains(column)), None, "{layout}");
        let audio = if ["sa-june", "dj-0001"].contains(&layout) { ("audio_path, ", "'a.wav', ") } else { ("", "") };
        for sql in [
            "INSERT INTO users (email, password, first_name, last_name, role, status, created_at) \
             VALUES ('late@example.com', 'h', 'La', 'Te', 'user', 'active', now())"
                .to_owned(),
            "INSERT INTO sessions (user_id, start_time) SELECT max(id), now() FROM users".to_owned(),
            "INSERT INTO emotion_detections (session_id, timestamp) SELECT max(id), now() FROM sessions".to_owned(),
            format!(
                "INSERT INTO voice_data (detection_id, {}content) SELECT max(id), {}'said' FROM emotion_detections",
                audio.0, audio.1
            ),
            // The panel deletes a user after what refers to it.
            "DELETE FROM reminders WHERE user_id = 1".to_owned(),
            "UPDATE users SET status = 'suspended', role = 'professional' WHERE id = 2".to_owned(),
        ] {
            faceofmind_testing::run(&db, &sql).await;
        }
    }
}
