//! What an adoption keeps, and what it adds.

use super::*;

#[tokio::test]
async fn each_layout_is_adopted_with_every_row() {
    for layout in LAYOUTS {
        let db = legacy_postgres(layout, "").await;
        let (before, keys) = (rows(&db).await, key_types(&db).await);
        assert!(!adoption::is_adopted(&db).await.expect("reads"), "{layout}");
        migrate(&db).await.unwrap_or_else(|error| panic!("{layout}: {error}"));
        assert_adopted(&db, layout).await;
        assert_kept(layout, &before, &rows(&db).await);
        assert_eq!(key_types(&db).await, keys, "{layout}: no table is rewritten");
    }
}

/// Type and file of each table: a rewritten table has another file.
async fn key_types(db: &Database) -> Vec<String> {
    let sql = "SELECT concat_ws(' ', attrelid::regclass, format_type(atttypid, NULL), pg_relation_filenode(attrelid)) \
        FROM pg_attribute WHERE attname = 'id' AND attrelid = ANY ('{users,sessions,emotion_detections,facial_data,voice_data,\
        feedback,wellness_suggestions,community_posts,community_comments,reminders}'::regclass[]) ORDER BY 1";
    let types = texts(db, sql).await;
    assert_eq!(types.len(), TABLES.len());
    types
}

#[tokio::test]
async fn migrating_twice_changes_nothing() {
    for layout in LAYOUTS {
        let db = legacy_postgres(layout, "").await;
        migrate(&db).await.expect("adopts");
        let (once, profiles) = (everything(&db).await, "SELECT user_profiles::text FROM user_profiles ORDER BY 1");
        let users = texts(&db, profiles).await;
        migrate(&db).await.expect("changes nothing");
        assert_eq!(everything(&db).await, once, "{layout}");
        assert_eq!(texts(&db, profiles).await, users, "{layout}");
    }
}

/// What migration 1 makes on an empty database.
#[tokio::test]
async fn an_adopted_database_has_the_indexes_keys_and_defaults_of_a_new_one() {
    let new = faceofmind_testing::databases().await.pop().expect("PostgreSQL");
    let indexes = "SELECT regexp_replace(indexdef, 'public\\.', '', 'g') FROM pg_indexes WHERE schemaname = 'public' \
        AND indexname !~ '_pkey$|_email|^ix_' AND tablename !~ '^(django|auth|adoption)' ORDER BY 1";
    let keys = "SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint \
        WHERE contype = 'f' AND conrelid::regclass::text !~ '^(django|auth)' ORDER BY 1";
    let defaults = "SELECT concat_ws(' ', table_name, column_name, column_default) FROM information_schema.columns \
        WHERE table_schema = 'public' AND (table_name, column_name) IN (('users', 'role'), ('users', 'status'), ('reminders', 'is_active')) \
        ORDER BY 1";
    for layout in LAYOUTS {
        let db = legacy_postgres(layout, "").await;
        migrate(&db).await.expect("adopts");
        assert_eq!(texts(&db, keys).await, texts(&new, keys).await, "{layout}");
        let made = texts(&db, indexes).await;
        assert_eq!(texts(&new, indexes).await.iter().find(|index| !made.contains(index)), None, "{layout}");
        let without_type = |texts: Vec<String>| -> Vec<String> {
            texts.iter().map(|text| text.split("::").next().unwrap_or_default().to_owned()).collect()
        };
        assert_eq!(without_type(texts(&db, defaults).await), without_type(texts(&new, defaults).await), "{layout}");
        let url = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'wellness_suggestions' AND column_name = 'url'";
        assert_eq!(number(&db, url).await, 1, "{layout}");
        let relaxed = "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' AND is_nullable = 'NO' \
            AND (table_name, column_name) IN (('users', 'password'), ('voice_data', 'audio_path'))";
        assert_eq!(number(&db, relaxed).await, 0, "{layout}");
    }
}

#[tokio::test]
async fn the_predecessors_users_are_verified_unless_they_never_were() {
    for layout in LAYOUTS {
        let db = legacy_postgres(layout, "").await;
        migrate(&db).await.expect("adopts");
        let unknown = "SELECT id::text FROM users u WHERE NOT EXISTS \
            (SELECT 1 FROM user_profiles p WHERE p.user_id = u.id AND p.verified_at IS NOT NULL AND p.registered_elsewhere_at IS NOT NULL) \
            ORDER BY id";
        // One has NULL for a status. User 32 is inactive and owns a session.
        let expected: &[&str] =
            if ["dj-0001", "dj", "dj-strict"].contains(&layout) { &["11", "25"] } else { &["11", "25", "40"] };
        assert_eq!(texts(&db, unknown).await, expected, "{layout}");
        assert_eq!(number(&db, "SELECT count(*) FROM user_profiles WHERE verified_at > now()").await, 0, "{layout}");
    }
}

#[tokio::test]
async fn ids_continue_after_the_last_one_where_a_sequence_was_behind() {
    for layout in LAYOUTS {
        let stale = "SELECT setval(pg_get_serial_sequence('sessions', 'id'), 1), setval(pg_get_serial_sequence('users', 'id'), 1, false)";
        let db = legacy_postgres(layout, stale).await;
        let last = number(&db, "SELECT max(id) FROM sessions").await;
        migrate(&db).await.expect("adopts");
        faceofmind_testing::user(&db, "new@example.org").await;
        faceofmind_testing::run(&db, "INSERT INTO sessions (user_id, start_time) VALUES (1, now())").await;
        assert_eq!(number(&db, "SELECT max(id) FROM sessions").await, last + 1, "{layout}");
    }
}

/// A restored dump may have lost what counts the ids.
#[tokio::test]
async fn ids_are_counted_where_nothing_counted_them() {
    let db = legacy_postgres("sa", "ALTER TABLE feedback ALTER id DROP DEFAULT; DROP SEQUENCE feedback_id_seq").await;
    let last = number(&db, "SELECT max(id) FROM feedback").await;
    migrate(&db).await.expect("adopts");
    faceofmind_testing::run(&db, "INSERT INTO feedback (session_id, comment, rating) VALUES (1, 'c', 1)").await;
    assert_eq!(number(&db, "SELECT max(id) FROM feedback").await, last + 1);
}

#[tokio::test]
async fn what_operators_added_by_hand_stays() {
    for layout in LAYOUTS {
        let extras = "ALTER TABLE users ADD phone text; ALTER TABLE sessions ADD note text NOT NULL DEFAULT 'n'; \
            CREATE VIEW active_users AS SELECT id, email, created_at FROM users WHERE status = 'active'; \
            CREATE TABLE newsletters (id serial PRIMARY KEY, title text); INSERT INTO newsletters (title) VALUES ('July')";
        let db = legacy_postgres(layout, extras).await;
        let before = rows(&db).await;
        migrate(&db).await.unwrap_or_else(|error| panic!("{layout}: {error}"));
        assert_adopted(&db, layout).await;
        assert_kept(layout, &before, &rows(&db).await);
        assert!(number(&db, "SELECT count(*) FROM active_users").await > 0);
        assert_eq!(texts(&db, "SELECT title FROM newsletters").await, ["July"]);
    }
}

/// An index of the same columns is not made twice.
#[tokio::test]
async fn an_index_of_the_same_columns_takes_the_name_that_migrations_know() {
    let db = legacy_postgres("dj", "").await;
    let oid = number(&db, "SELECT 'facial_data_detection_id_ae1ca0ce'::regclass::oid").await;
    migrate(&db).await.expect("adopts");
    assert_eq!(number(&db, "SELECT 'facial_data_of_detection'::regclass::oid").await, oid);
}

#[tokio::test]
async fn the_panels_own_tables_are_left_alone() {
    let theirs = "SELECT concat_ws(' ', attrelid::regclass, attname, attnotnull, atttypid) FROM pg_attribute \
        WHERE attrelid::regclass::text ~ '^(django|auth)_' AND attnum > 0 ORDER BY 1";
    for layout in ["dj-0001", "dj", "dj-strict", "hybrid"] {
        let db = legacy_postgres(layout, "").await;
        let sql = "SELECT auth_user::text FROM auth_user UNION ALL SELECT django_migrations::text FROM django_migrations ORDER BY 1";
        let before = (texts(&db, theirs).await, texts(&db, sql).await);
        migrate(&db).await.expect("adopts");
        assert_eq!((texts(&db, theirs).await, texts(&db, sql).await), before, "{layout}");
    }
}

/// NULL becomes what other rows tell.
#[tokio::test]
async fn a_missing_time_is_taken_from_what_is_known() {
    let db = legacy_postgres(
        "sa",
        "INSERT INTO sessions (id, user_id, start_time) VALUES (90, 1, NULL); \
        INSERT INTO emotion_detections (session_id, timestamp) VALUES (90, '2025-08-01 10:00:00+00')",
    )
    .await;
    migrate(&db).await.expect("adopts");
    let is = async |sql: &str| number(&db, &format!("SELECT count(*) FROM {sql}")).await == 1;
    assert!(is("users WHERE id = 41 AND created_at = '2025-07-04 09:30:00+00'").await, "as the user before");
    assert!(is("users WHERE id = 40 AND status = 'inactive'").await);
    assert!(is("sessions WHERE id = 90 AND start_time = '2025-08-01 10:00:00+00'").await, "as its detection");
    assert!(is("sessions WHERE id = 33 AND start_time = '2025-07-11 03:00:00+00'").await, "as the session before");
    assert!(is("community_posts WHERE id = 1 AND updated_at = created_at").await);
    assert!(is("reminders WHERE id = 5 AND NOT is_active").await, "what was never on is off");
}
