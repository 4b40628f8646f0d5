//! Migrations on both databases.

use std::time::Duration;

use faceofmind_base::Clock;
use faceofmind_db::{
    Database, PoolSettings, StoreError, lease,
    migrations::{MigrationError, down, migrate, status},
    with_conn,
};
use faceofmind_testing as testing;

/// The migration that makes the counts of emotions.
const COUNTS: i64 = 13;
/// One that makes an index while other programs write.
const CONCURRENT: i64 = 14;
const SEVERAL_EVENTS: i64 = 17;
/// The migration that counts the comments.
const COMMENTS: i64 = 15;
/// The migration that makes the extension of trigrams, before their indexes.
const SEARCH: i64 = 20;

#[tokio::test]
async fn an_empty_database_migrates_up_and_down_again() {
    for db in testing::empty_databases().await {
        assert!(status(&db).await.expect("empty").iter().all(|step| !step.applied));
        migrate(&db).await.expect("migrates");
        migrate(&db).await.expect("twice is once");
        let steps = status(&db).await.expect("ours");
        assert!(steps.len() >= 2 && steps.iter().all(|step| step.applied), "{steps:?}");
        for _ in &steps {
            down(&db, false).await.expect("no rows, no loss").expect("a step");
        }
        assert_eq!(down(&db, false).await.expect("nothing left"), None);
        migrate(&db).await.expect("and up again");
    }
}

#[tokio::test]
async fn a_down_migration_drops_rows_only_by_force() {
    for db in testing::databases().await {
        let mut tx = db.begin().await.expect("begins");
        let insert = "INSERT INTO leases (name, holder, expires_at) VALUES ('a', 'b', $1)";
        let now = Clock::system().now();
        with_conn!(tx.connection(), c => sqlx::query(insert).bind(now).execute(c).await.map(drop)).expect("inserts");
        tx.commit().await.expect("commits");
        let refused = loop {
            match down(&db, false).await {
                Ok(step) => assert!(step.is_some(), "the step that made the table was taken back"),
                Err(refused) => break refused,
            }
        };
        assert!(matches!(refused, MigrationError::WouldLoseData { rows: 1, .. }), "{refused}");
        assert!(down(&db, true).await.expect("forced").is_some());
    }
}

/// The counts of emotions follow from the detections, which stay.
#[tokio::test]
async fn what_follows_from_other_rows_is_dropped_without_force_and_made_again() {
    for db in testing::databases().await {
        testing::user(&db, "ada@example.org").await;
        let mut tx = db.begin().await.expect("begins");
        for insert in [
            "INSERT INTO sessions (user_id, start_time) SELECT id, created_at FROM users",
            "INSERT INTO emotion_detections (session_id, timestamp) SELECT id, start_time FROM sessions",
            "INSERT INTO facial_data (detection_id, emotion) SELECT id, 'calm' FROM emotion_detections",
        ] {
            with_conn!(tx.connection(), c => sqlx::query(insert).execute(c).await.map(drop)).expect("inserts");
        }
        tx.commit().await.expect("commits");
        let rows = async |sql: &'static str| -> i64 {
            let mut reader = db.read_conn().await.expect("a connection");
            with_conn!(reader.connection(), c => sqlx::query_scalar(sql).fetch_one(c).await).expect("counts")
        };
        assert_eq!(rows("SELECT detections FROM emotion_counts").await, 1);
        while down(&db, false).await.expect("nothing is lost").expect("a step").version > COUNTS {}
        migrate(&db).await.expect("migrates");
        let again =
            rows("SELECT count(*) FROM facial_data").await + rows("SELECT count(*) FROM uncounted_sessions").await;
        assert_eq!(again, 2, "the session is to be counted");
    }
}

/// Rows of several events cannot be read by earlier versions.
#[tokio::test]
async fn rows_of_several_events_become_rows_of_one_event_again() {
    for db in testing::databases().await {
        let at = if matches!(db, Database::Postgres(_)) { "now()" } else { "1" };
        let row = |id: &str, lines: &[&str], position: &str| {
            let envelope: Vec<_> = lines.iter().map(|line| format!("{{\"id\":\"{line}\"}}")).collect();
            let (envelope, count) = (envelope.join("\n"), lines.len().max(2));
            format!("('{id}', 'session/1', 1, '{envelope}', {at}, {position}, {count})")
        };
        let rows = [
            row("a", &["a", "b", "c"], "4"),
            row("erased", &[], "6"),
            row("d", &["d", "e"], "NULL"),
            format!("('f', 'session/1', 1, '{{\"id\":\"f\"}}', {at}, NULL, 1)"),
            format!("('dead letter', 'session/1', 1, 'not JSON', {at}, NULL, 1)"),
        ];
        let insert =
            "INSERT INTO events (id, aggregate, user_id, envelope, recorded_at, position, event_count) VALUES ";
        testing::run(&db, &format!("{insert}{}", rows.join(", "))).await;
        while down(&db, false).await.expect("nothing is lost").expect("a step").version > SEVERAL_EVENTS {}
        let found: Vec<(String, String, Option<i64>)> = {
            let mut reader = db.read_conn().await.expect("a connection");
            let sql = "SELECT id, envelope, position FROM events ORDER BY position IS NULL, position, seq";
            with_conn!(reader.connection(), c => sqlx::query_as(sql).fetch_all(c).await).expect("reads")
        };
        let single = |id: &str, position| (id.to_owned(), format!("{{\"id\":\"{id}\"}}"), position);
        let erased = ("erased".to_owned(), String::new(), Some(6));
        let expected = [
            single("a", Some(2)),
            single("b", Some(3)),
            single("c", Some(4)),
            erased,
            single("d", None),
            single("e", None),
            single("f", None),
            ("dead letter".to_owned(), "not JSON".to_owned(), None),
        ];
        assert_eq!(found, expected);
        migrate(&db).await.expect("migrates");
    }
}

/// They would refuse rows of several events, and publish later events of the same session.
#[tokio::test]
async fn a_node_of_an_earlier_version_does_not_lead() {
    let db = testing::databases().await.pop().expect("PostgreSQL");
    let (now, length) = (Clock::system().now(), Duration::from_secs(60));
    while down(&db, false).await.expect("no rows").expect("a step").version > SEVERAL_EVENTS {}
    assert!(lease::acquire(&db, "publisher", "earlier", now, length).await.expect("leads"));
    migrate(&db).await.expect("migrates");
    assert!(!lease::acquire(&db, "publisher", "earlier", now, length).await.expect("asks"));
    lease::release(&db, "publisher", "earlier").await.expect("does not fail");
    assert!(lease::acquire(&db, "event publisher", "later", now, length).await.expect("leads"));
}

#[tokio::test]
async fn a_database_with_unknown_tables_or_from_a_later_version_is_left_alone() {
    for db in testing::empty_databases().await {
        let mut tx = db.begin().await.expect("begins");
        with_conn!(tx.connection(), c => sqlx::query("CREATE TABLE users (id integer)").execute(c).await.map(drop))
            .expect("another program's table");
        tx.commit().await.expect("commits");
        assert!(matches!(migrate(&db).await, Err(MigrationError::UnknownTables(table)) if table == "users"));
    }
    for db in testing::databases().await {
        let mut tx = db.begin().await.expect("begins");
        let sql = "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1";
        with_conn!(tx.connection(), c => sqlx::query(sql).execute(c).await.map(drop)).expect("from the future");
        tx.commit().await.expect("commits");
        assert!(matches!(migrate(&db).await, Err(MigrationError::DatabaseTooNew(9999))));
    }
}

async fn holds(db: &Database, sql: &'static str) -> bool {
    let mut reader = db.read_conn().await.expect("a connection");
    with_conn!(reader.connection(), c => sqlx::query_scalar(sql).fetch_one(c).await).expect("tells")
}

/// A run that was killed leaves an index that PostgreSQL does not use.
#[tokio::test]
async fn an_index_is_made_anew_while_others_write() {
    let db = testing::databases().await.pop().expect("PostgreSQL");
    let user = testing::user(&db, "ada@example.org").await;
    while down(&db, false).await.expect("no rows").expect("a step").version > CONCURRENT {}
    testing::run(&db, "CREATE INDEX logins_by_end ON logins (ended_at)").await;
    testing::run(&db, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'logins_by_end'::regclass").await;
    let log_in = format!(
        "INSERT INTO logins (user_id, created_at, rotated_at, last_used_at, expires_at, device, address) \
         VALUES ({user}, now(), now(), now(), now(), '', '')"
    );
    let mut unfinished = db.begin().await.expect("begins");
    let insert = sqlx::query(sqlx::AssertSqlSafe(log_in.clone()));
    unfinished.on_postgres(insert).await.expect("inserts");
    let is_waiting = "SELECT count(*) > 0 FROM pg_stat_activity \
         WHERE datname = current_database() AND query ILIKE '%index concurrently%' AND wait_event_type = 'Lock'";
    let meanwhile = async {
        testing::until("the index waits for the transaction", async || holds(&db, is_waiting).await).await;
        testing::run(&db, &log_in).await;
        unfinished.commit().await.expect("commits");
    };
    let (migrated, ()) = tokio::join!(migrate(&db), meanwhile);
    migrated.expect("migrates");
    let is_valid =
        "SELECT indisvalid AND indpred IS NOT NULL FROM pg_index WHERE indexrelid = 'logins_by_end'::regclass";
    assert!(holds(&db, is_valid).await);
    assert!(status(&db).await.expect("ours").iter().all(|step| step.applied));
}

/// Others wait behind a migration that waits for a table.
#[tokio::test]
async fn a_migration_steps_back_while_a_table_is_in_use() {
    let db = testing::databases().await.pop().expect("PostgreSQL");
    while down(&db, false).await.expect("no rows").expect("a step").version > COMMENTS {}
    let write = "UPDATE community_comments SET content = ''";
    let mut writing = db.begin().await.expect("begins");
    writing.on_postgres(sqlx::query(write)).await.expect("writes");
    let is_waiting =
        "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation = 'community_comments'::regclass";
    let meanwhile = async {
        testing::until("the migration waits", async || holds(&db, is_waiting).await).await;
        // It waits behind that try, and ends before the transaction for which the migration waits.
        testing::run(&db, write).await;
        writing.commit().await.expect("commits");
    };
    let (migrated, ()) = tokio::join!(migrate(&db), meanwhile);
    migrated.expect("migrates");
}

/// The nodes of a service start together. While one makes an index, the others wait for it.
#[tokio::test]
async fn several_nodes_upgrade_at_a_time() {
    for db in testing::databases().await {
        while down(&db, false).await.expect("no rows").expect("a step").version > CONCURRENT {}
        let nodes = tokio::join!(migrate(&db), migrate(&db), migrate(&db));
        for migrated in [nodes.0, nodes.1, nodes.2] {
            migrated.expect("migrates");
        }
        assert!(status(&db).await.expect("ours").iter().all(|step| step.applied));
    }
}

/// The functions of the counts run with the rights of their owner. A temporary table of the same name must not take a table's place.
#[tokio::test]
async fn functions_with_the_rights_of_their_owner_look_for_temporary_tables_last() {
    let db = testing::databases().await.pop().expect("PostgreSQL");
    let in_order = "SELECT count(*) > 0 AND bool_and(EXISTS (SELECT 1 FROM unnest(proconfig) AS setting \
         WHERE setting LIKE 'search_path=%, pg_temp')) FROM pg_proc WHERE prosecdef";
    assert!(holds(&db, in_order).await);
}

/// Other programs may delete posts without their comments, and dumps may be restored without checks.
#[tokio::test]
async fn comments_without_a_post_do_not_stop_an_upgrade() {
    for db in testing::databases().await {
        let user = testing::user(&db, "ada@example.org").await;
        while down(&db, false).await.expect("no rows").expect("a step").version > COMMENTS {}
        let orphan = format!(
            "INSERT INTO community_comments (post_id, user_id, content, created_at, updated_at) \
             SELECT 999, id, 'words', created_at, created_at FROM users WHERE id = {user}"
        );
        without_foreign_keys(&db, &orphan).await;
        migrate(&db).await.expect("migrates");
    }
}

async fn without_foreign_keys(db: &Database, sql: &str) {
    if let Database::Postgres(_) = db {
        testing::run(db, "ALTER TABLE community_comments DROP CONSTRAINT community_comments_post_id_fkey").await;
        return testing::run(db, sql).await;
    }
    let mut reader = db.read_conn().await.expect("a connection");
    for sql in ["PRAGMA foreign_keys = off", sql, "PRAGMA foreign_keys = on"] {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        with_conn!(reader.connection(), c => sqlx::query(sql).execute(c).await.map(drop)).expect("runs");
    }
}

#[tokio::test]
async fn two_concurrent_runs_both_succeed() {
    for db in testing::empty_databases().await {
        let (one, other) = tokio::join!(migrate(&db), migrate(&db));
        one.expect("first");
        other.expect("second");
    }
}

/// The node may be between two statements. A node that was killed has a lease for some seconds.
#[tokio::test]
async fn no_migration_is_reverted_while_a_node_leads() {
    let db = testing::databases().await.pop().expect("PostgreSQL");
    let (now, length) = (Clock::system().now(), Duration::from_secs(60));
    assert!(lease::acquire(&db, "work", "node 1", now, length).await.expect("acquires"));
    for force in [false, true] {
        let refused = down(&db, force).await.expect_err("a node leads");
        assert!(matches!(&refused, MigrationError::InUse(holder) if holder == "node 1"), "{refused}");
    }
    lease::release(&db, "work", "node 1").await.expect("releases");
    assert!(down(&db, false).await.expect("reverts").is_some());
}

#[tokio::test]
async fn a_database_without_the_last_migration_is_not_up() {
    for db in testing::databases().await {
        assert!(db.is_up().await);
        let last = down(&db, false).await.expect("reverts").expect("a step").version;
        let probed = db.probe().await.expect_err("the schema is older");
        assert!(matches!(probed, StoreError::SchemaTooOld { needed, .. } if needed == last), "{probed}");
        migrate(&db).await.expect("migrates");
        assert!(db.is_up().await);
    }
}

/// Migrates a database at once and by steps, with a role that may not make extensions or one whose search path has none.
async fn assert_is_migrated_without_trigrams(db: &Database) {
    let indexes = "SELECT count(*) = 0 FROM pg_indexes WHERE indexname LIKE 'users_by_part_of%'";
    migrate(db).await.expect("migrates");
    assert!(holds(db, indexes).await);
    while down(db, false).await.expect("no rows").expect("a step").version > SEARCH {}
    migrate(db).await.expect("migrates");
    assert!(holds(db, indexes).await);
    assert!(status(db).await.expect("ours").iter().all(|step| step.applied));
}

#[tokio::test]
async fn a_role_that_may_not_make_the_extension_of_trigrams_migrates_without() {
    let url = testing::empty_postgres().await;
    let role = format!("plain_{}", std::process::id());
    let owner = Database::postgres(&url, PoolSettings::default()).expect("a URL");
    testing::run(&owner, &format!("CREATE ROLE {role} LOGIN")).await;
    testing::run(&owner, &format!("GRANT CREATE, USAGE ON SCHEMA public TO {role}")).await;
    let plain = Database::postgres(&url.replace("postgres@", &format!("{role}@")), PoolSettings::default());
    assert_is_migrated_without_trigrams(&plain.expect("a URL")).await;
}

#[tokio::test]
async fn trigrams_in_a_schema_that_is_not_searched_are_not_used() {
    let db = testing::empty_databases().await.pop().expect("PostgreSQL");
    testing::run(&db, "CREATE SCHEMA elsewhere").await;
    testing::run(&db, "CREATE EXTENSION pg_trgm SCHEMA elsewhere").await;
    assert_is_migrated_without_trigrams(&db).await;
}

#[tokio::test]
async fn the_indexes_of_trigrams_are_made_at_once_and_by_steps() {
    let db = testing::databases().await.pop().expect("PostgreSQL");
    let made = "SELECT count(*) = 2 AND bool_and(indisvalid) FROM pg_index \
         WHERE indexrelid::regclass::text LIKE 'users_by_part_of%'";
    assert!(holds(&db, made).await);
    while down(&db, false).await.expect("no rows").expect("a step").version > SEARCH {}
    assert!(!holds(&db, "SELECT to_regclass('users_by_part_of_name') IS NOT NULL").await);
    migrate(&db).await.expect("migrates");
    assert!(holds(&db, made).await);
}
