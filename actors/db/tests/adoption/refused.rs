//! What stops an adoption, and what is only reported. A refused adoption and a plan change nothing.

use faceofmind_db::adoption::{AdoptionError, Plan};
use migrations::{MigrationError, down, plan_adoption, status};

use super::*;

const TWINS: &str = "INSERT INTO users (id, email, password, first_name, last_name, role, status, created_at) OVERRIDING SYSTEM VALUE VALUES \
    (50, 'eli@example.com', '', 'Eli', 'One', 'user', 'active', now()), (51, 'Eli@example.com', '', 'Eli', 'Two', 'user', 'active', now())";
/// A restore that lost its foreign keys.
const ORPHANS: &str = "DO $$ DECLARE c record; BEGIN FOR c IN SELECT conrelid::regclass AS t, conname FROM pg_constraint \
    WHERE contype = 'f' AND conrelid::regclass::text IN ('sessions', 'emotion_detections', 'facial_data', 'feedback', 'community_comments') \
    LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.t, c.conname); END LOOP; END $$; \
    INSERT INTO sessions (id, user_id, start_time) OVERRIDING SYSTEM VALUE VALUES (900001, 999999, now()); \
    INSERT INTO emotion_detections (id, session_id, timestamp) OVERRIDING SYSTEM VALUE VALUES (900001, 999999, now()); \
    INSERT INTO facial_data (id, detection_id, emotion) OVERRIDING SYSTEM VALUE VALUES (900001, 999999, 'sad'); \
    INSERT INTO feedback (id, session_id, comment, rating) OVERRIDING SYSTEM VALUE VALUES (900001, 999999, 'x', 3); \
    INSERT INTO community_comments (id, post_id, user_id, content, created_at, updated_at) OVERRIDING SYSTEM VALUE \
    VALUES (900001, 999999, 999999, 'x', now(), now())";

/// Fails unless the database is refused for a reason that contains `word`, and nothing was changed.
async fn assert_refused(layout: &str, more: &str, word: &str) {
    let db = legacy_postgres(layout, more).await;
    let before = everything(&db).await;
    for _ in 0..2 {
        let error = migrate(&db).await.expect_err("is refused");
        assert!(
            matches!(&error, MigrationError::Adoption(AdoptionError::Refused { reasons, .. }) if reasons.contains(word)),
            "{error}"
        );
        assert!(!error.to_string().contains('@'), "an address is in no log: {error}");
    }
    assert_eq!(everything(&db).await, before, "{layout}");
    assert!(plan(&db).await.is_refused());
}

async fn plan(db: &Database) -> Plan {
    plan_adoption(db).await.expect("plans").expect("one of the predecessor")
}

#[tokio::test]
async fn accounts_whose_addresses_differ_in_case_alone_are_refused_and_named() {
    for layout in LAYOUTS {
        assert_refused(layout, TWINS, "50 and 51").await;
    }
    let plan = plan(&legacy_postgres("dj", TWINS).await).await;
    assert!(plan.describe(true).to_string().contains("eli@example.com and Eli@example.com"), "{}", plan.describe(true));
    assert!(!plan.describe(false).to_string().contains("eli@"), "only a terminal shows addresses");
}

#[tokio::test]
async fn a_required_column_that_this_program_does_not_know_is_refused() {
    assert_refused(
        "sa",
        "ALTER TABLE sessions ADD device text NOT NULL DEFAULT ''; ALTER TABLE sessions ALTER device DROP DEFAULT",
        "sessions.device",
    )
    .await;
}

#[tokio::test]
async fn a_name_that_this_program_needs_is_refused() {
    assert_refused("dj", "CREATE TABLE events (id integer)", "`events`").await;
    assert_refused("dj", "CREATE TABLE adoption (id integer)", "`adoption`").await;
    assert_refused("sa", "CREATE VIEW sessions_of_user AS SELECT 1 AS one", "`sessions_of_user`").await;
}

#[tokio::test]
async fn a_table_without_a_primary_key_is_refused() {
    assert_refused("sa", "ALTER TABLE feedback DROP CONSTRAINT feedback_pkey", "feedback has no primary key").await;
}

#[tokio::test]
async fn a_database_that_lacks_a_table_or_a_column_is_refused() {
    for (more, lack) in [
        ("DROP TABLE feedback", "the table feedback is missing"),
        ("ALTER TABLE users DROP role", "the column users.role is missing"),
        (
            "ALTER TABLE sessions ALTER start_time TYPE timestamp",
            "sessions.start_time is of the type timestamp without time zone",
        ),
    ] {
        let db = legacy_postgres("sa", more).await;
        let before = texts(&db, CATALOG).await;
        let error = migrate(&db).await.expect_err("is refused");
        assert!(
            matches!(&error, MigrationError::Adoption(AdoptionError::Incomplete(faults)) if faults.contains(lack)),
            "{error}"
        );
        assert_eq!(texts(&db, CATALOG).await, before);
    }
}

/// They stay, and the foreign key holds for new rows.
#[tokio::test]
async fn rows_without_their_parent_are_reported_and_kept() {
    for layout in LAYOUTS {
        let db = legacy_postgres(layout, ORPHANS).await;
        let before = rows(&db).await;
        let named = plan(&db).await.findings;
        let orphans: Vec<_> = named.iter().filter(|finding| finding.what.contains("is of no row of")).collect();
        assert_eq!(orphans.len(), 6, "{orphans:?}");
        assert!(orphans.iter().all(|finding| finding.ids == ["900001"] && !finding.stops), "{orphans:?}");
        migrate(&db).await.unwrap_or_else(|error| panic!("{layout}: {error}"));
        assert_adopted(&db, layout).await;
        assert_kept(layout, &before, &rows(&db).await);
        let unchecked = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND NOT convalidated";
        assert_eq!(number(&db, unchecked).await, 6, "{layout}");
        let mut tx = db.begin().await.expect("begins");
        let orphan = "INSERT INTO sessions (user_id, start_time) VALUES (999999, now())";
        let refused = tx.on_postgres(sqlx::query(orphan)).await.expect_err("no such user");
        assert!(refused.is_foreign_key_violation(), "{refused}");
    }
}

#[tokio::test]
async fn a_plan_names_what_a_person_should_look_at_and_changes_nothing() {
    for layout in LAYOUTS {
        let db = legacy_postgres(layout, &format!("{ORPHANS}; {TWINS}")).await;
        let before = everything(&db).await;
        let plan = plan(&db).await;
        assert_eq!(everything(&db).await, before, "{layout}");
        assert_eq!(plan.layout.as_str(), layout);
        let ids = |what: &str| -> Vec<String> {
            let found = plan.findings.iter().find(|finding| finding.what.contains(what));
            found.map(|finding| finding.ids.clone()).unwrap_or_default()
        };
        assert_eq!(ids("whose role is none"), ["29"], "{layout}");
        assert_eq!(ids("whose status is none"), ["25", "26", "27"], "{layout}");
        let is_django = ["dj-0001", "dj", "dj-strict"].contains(&layout);
        assert_eq!(
            ids("whose address has no @"),
            if is_django { vec!["31", "34"] } else { vec!["31", "34", "42"] },
            "{layout}"
        );
        assert_eq!(ids("without a time of creation").is_empty(), is_django, "{layout}");
        assert_eq!(ids("7:55 hours"), ["26"], "{layout}");
        let text = plan.describe(false).to_string();
        assert!(text.contains(&format!("layout `{layout}`")) && text.ends_with("Nothing was changed."), "{text}");
        assert!(plan.changes.iter().any(|change| change.contains("users as verified")), "{text}");
        assert_eq!(
            text.contains("add the column wellness_suggestions.url"),
            ["sa-june", "dj-0001"].contains(&layout),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_plan_names_the_time_zone_of_the_server() {
    let db = legacy_postgres("sa", "").await;
    let set =
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'Asia/Manila'); END $$";
    faceofmind_testing::run(&db, set).await;
    assert_eq!(plan(&db).await.server_zone.as_deref(), Some("Asia/Manila"));
}

#[tokio::test]
async fn a_database_that_is_adopted_or_new_has_no_plan() {
    let db = legacy_postgres("dj", "").await;
    assert!(status(&db).await.expect("can be migrated").iter().all(|step| !step.applied));
    migrate(&db).await.expect("adopts");
    assert!(plan_adoption(&db).await.expect("reads").is_none());
    for db in faceofmind_testing::empty_databases().await {
        assert!(plan_adoption(&db).await.expect("reads").is_none());
        migrate(&db).await.expect("migrates");
        assert!(!adoption::is_adopted(&db).await.expect("reads"));
    }
}

/// They are the predecessor's tables.
#[tokio::test]
async fn the_first_migration_of_an_adopted_database_is_not_reverted() {
    let db = legacy_postgres("sa", "").await;
    migrate(&db).await.expect("adopts");
    let refused = loop {
        match down(&db, true).await {
            Ok(step) => assert!(step.is_some()),
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, MigrationError::Adopted), "{refused}");
    assert!(number(&db, "SELECT count(*) FROM users").await > 0);
    migrate(&db).await.expect("and up again");
}

#[tokio::test]
async fn views_and_tables_of_extensions_are_not_of_another_program() {
    let db = faceofmind_testing::empty_databases().await.pop().expect("PostgreSQL");
    for sql in [
        "CREATE VIEW numbers AS SELECT 1 AS number",
        "CREATE MATERIALIZED VIEW more_numbers AS SELECT 2 AS number",
        "CREATE TABLE spatial_ref_sys (srid integer PRIMARY KEY)",
        "ALTER EXTENSION plpgsql ADD TABLE spatial_ref_sys",
    ] {
        faceofmind_testing::run(&db, sql).await;
    }
    migrate(&db).await.expect("migrates");
    assert_eq!(number(&db, "SELECT number FROM numbers").await, 1);
}
