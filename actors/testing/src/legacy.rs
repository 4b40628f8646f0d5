//! Databases as FaceofMind (Python) leaves them behind. `tests/fixtures/legacy/README.md` describes them.

/// The layouts of the predecessor's databases.
pub const LAYOUTS: [&str; 6] = ["sa", "sa-june", "dj-0001", "dj", "dj-strict", "hybrid"];

/// Django's own tables.
const PANEL: &str = include_str!("../../../tests/fixtures/legacy/panel.sql");
/// Where `manage.py migrate` stops by itself.
const FIRST_MIGRATION: &str = "DELETE FROM django_migrations WHERE app = 'coreapi' AND name <> '0001_initial';";
const ROWS: &str = include_str!("../../../tests/fixtures/legacy/rows.sql");
const NULLS: &str = include_str!("../../../tests/fixtures/legacy/nulls.sql");
const URLS: &str = include_str!("../../../tests/fixtures/legacy/urls.sql");

/// The ids of the rows continue after the last one.
const SEQUENCES: &str = "DO $$ DECLARE t text; BEGIN FOREACH t IN ARRAY ARRAY['users', 'sessions', 'emotion_detections', 'facial_data', \
    'voice_data', 'feedback', 'wellness_suggestions', 'community_posts', 'community_comments', 'reminders'] LOOP \
    EXECUTE format('SELECT setval(pg_get_serial_sequence(%L, ''id''), max(id)) FROM %I', t, t); END LOOP; END $$;";

/// The tables of a layout with the predecessor's rows.
pub(crate) fn with_rows(layout: &str) -> String {
    let has_audio = ["sa-june", "dj-0001"].contains(&layout);
    let has_nulls = ["sa", "sa-june", "hybrid"].contains(&layout);
    let audio = |change: &str| {
        if has_audio { format!("ALTER TABLE voice_data ALTER audio_path {change};") } else { String::new() }
    };
    let unedited = if layout == "dj-strict" { "'2025-07-04 09:30:00+00'" } else { "NULL" };
    [
        schema(layout).as_str(),
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
pub(crate) fn schema(layout: &str) -> String {
    let tables = match layout {
        "sa" | "hybrid" => include_str!("../../../tests/fixtures/legacy/sa.sql"),
        "sa-june" => include_str!("../../../tests/fixtures/legacy/sa-june.sql"),
        "dj-0001" => include_str!("../../../tests/fixtures/legacy/dj-0001.sql"),
        "dj" => include_str!("../../../tests/fixtures/legacy/dj.sql"),
        "dj-strict" => include_str!("../../../tests/fixtures/legacy/dj-strict.sql"),
        unknown => panic!("no layout {unknown}"),
    };
    match layout {
        "sa" | "sa-june" => tables.to_owned(),
        "dj-0001" => [tables, PANEL, FIRST_MIGRATION].join("\n"),
        _ => [tables, PANEL].join("\n"),
    }
}
