//! Databases as FaceofMind (Python) leaves them behind. `tests/fixtures/legacy/README.md` describes them.

use faceofmind_db::{Connection, Database};
use sqlx::AssertSqlSafe;

use crate::{empty_postgres, postgres_at};

/// The layouts of the predecessor's databases.
pub const LAYOUTS: [&str; 6] = ["sa", "sa-june", "dj-0001", "dj", "dj-strict", "hybrid"];

const ROWS: &str = include_str!("../../../tests/fixtures/legacy/rows.sql");
const NULLS: &str = include_str!("../../../tests/fixtures/legacy/nulls.sql");
const URLS: &str = include_str!("../../../tests/fixtures/legacy/urls.sql");

/// The ids of the rows continue after the last one.
const SEQUENCES: &str = "DO $$ DECLARE t text; BEGIN FOREACH t IN ARRAY ARRAY['users', 'sessions', 'emotion_detections', 'facial_data', \
    'voice_data', 'feedback', 'wellness_suggestions', 'community_posts', 'community_comments', 'reminders'] LOOP \
    EXECUTE format('SELECT setval(pg_get_serial_sequence(%L, ''id''), max(id)) FROM %I', t, t); END LOOP; END $$;";

/// Returns a new database of that layout with the predecessor's rows. `more` is SQL that runs last.
///
/// # Panics
/// As [`empty_postgres`], and for an unknown layout.
pub async fn legacy_postgres(layout: &str, more: &str) -> Database {
    let db = postgres_at(&empty_postgres().await);
    load_legacy(&db, layout, more).await;
    db
}

/// Loads that layout with the predecessor's rows into a database without tables. `more` is SQL that runs last.
///
/// # Panics
/// On SQLite, for an unknown layout, and where a statement fails.
pub async fn load_legacy(db: &Database, layout: &str, more: &str) {
    let mut tx = db.begin().await.expect("begins");
    for sql in [&with_rows(layout), more] {
        let Connection::Postgres(c, _) = tx.connection() else { panic!("PostgreSQL") };
        // A deferred constraint would refuse later changes of its table.
        let sql = AssertSqlSafe(format!("SET CONSTRAINTS ALL IMMEDIATE; {sql}"));
        sqlx::raw_sql(sql).execute(c).await.unwrap_or_else(|error| panic!("{layout}: {error}"));
    }
    tx.commit().await.expect("commits");
}

fn with_rows(layout: &str) -> String {
    let has_audio = ["sa-june", "dj-0001"].contains(&layout);
    let has_nulls = ["sa", "sa-june", "hybrid"].contains(&layout);
    let audio = |change: &str| {
        if has_audio { format!("ALTER TABLE voice_data ALTER audio_path {change};") } else { String::new() }
    };
    let unedited = if layout == "dj-strict" { "'2025-07-04 09:30:00+00'" } else { "NULL" };
    [
        schema(layout),
        &audio("SET DEFAULT 'a.wav'"),
        &ROWS.replace(":unedited", unedited),
        if has_nulls { NULLS } else { "" },
        if has_audio { "" } else { URLS },
        &audio("DROP DEFAULT"),
        SEQUENCES,
    ]
    .join("\n")
}

/// The tables of a layout, without rows.
pub(crate) fn schema(layout: &str) -> &'static str {
    match layout {
        "sa" => include_str!("../../../tests/fixtures/legacy/sa.sql"),
        "sa-june" => include_str!("../../../tests/fixtures/legacy/sa-june.sql"),
        "dj-0001" => include_str!("../../../tests/fixtures/legacy/dj-0001.sql"),
        "dj" => include_str!("../../../tests/fixtures/legacy/dj.sql"),
        "dj-strict" => include_str!("../../../tests/fixtures/legacy/dj-strict.sql"),
        "hybrid" => include_str!("../../../tests/fixtures/legacy/hybrid.sql"),
        unknown => panic!("no layout {unknown}"),
    }
}
