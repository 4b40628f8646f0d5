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
    let (has_audio, has_nulls) =
        (["sa-june", "dj-0001"].contains(&layout), ["sa", "sa-june", "hybrid"].contains(&layout));
    let unedited = if layout == "dj-strict" { "'2025-07-04 09:30:00+00'" } else { "NULL" };
    let (audio, no_audio) = if has_audio {
        (
            "ALTER TABLE voice_data ALTER audio_path SET DEFAULT 'a.wav';",
            "ALTER TABLE voice_data ALTER audio_path DROP DEFAULT;",
        )
    } else {
        ("", "")
    };
    let parts = [
        schema(layout),
        audio,
        &ROWS.replace(":unedited", unedited),
        if has_nulls { NULLS } else { "" },
        if has_audio { "" } else { URLS },
        no_audio,
        SEQUENCES,
    ];
    let mut tx = db.begin().await.expect("begins");
    for sql in [&parts.join("\n"), more] {
        let Connection::Postgres(c, _) = tx.connection() else { panic!("PostgreSQL") };
        let run = sqlx::raw_sql(AssertSqlSafe(format!("SET CONSTRAINTS ALL IMMEDIATE; {sql}"))).execute(c).await;
        run.unwrap_or_else(|error| panic!("{layout}: {error}"));
    }
    tx.commit().await.expect("commits");
    db
}

fn schema(layout: &str) -> &'static str {
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
