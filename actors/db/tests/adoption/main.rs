//! The adoption of the predecessor's databases.

use std::collections::BTreeMap;

use faceofmind_db::{Connection, Database, adoption, migrations, migrations::migrate};
use faceofmind_testing::{LAYOUTS, legacy_postgres};
use serde_json::Value;
use sqlx::AssertSqlSafe;

mod beside;
mod interrupted;
mod kept;
mod refused;
mod times;

/// The ten tables that the predecessor made.
const TABLES: [&str; 10] = [
    "users",
    "sessions",
    "emotion_detections",
    "facial_data",
    "voice_data",
    "feedback",
    "wellness_suggestions",
    "community_posts",
    "community_comments",
    "reminders",
];

/// Everything that a change of the schema changes: columns, constraints, indexes, triggers and the state of sequences.
const CATALOG: &str = "SELECT concat_ws(' ', 'column', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull, \
        pg_get_expr(e.adbin, e.adrelid)) \
    FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid LEFT JOIN pg_attrdef e ON e.adrelid = attrelid AND e.adnum = attnum \
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v') AND attnum > 0 AND NOT attisdropped \
    UNION ALL SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid)) \
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace \
    UNION ALL SELECT concat_ws(' ', 'index', indexrelid, indexrelid::regclass, indisvalid, pg_get_indexdef(indexrelid)) \
    FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE relnamespace = 'public'::regnamespace \
    UNION ALL SELECT concat_ws(' ', 'trigger', tgrelid::regclass, tgname) FROM pg_trigger WHERE NOT tgisinternal \
    UNION ALL SELECT concat_ws(' ', 'function', oid, proname) FROM pg_proc WHERE pronamespace = 'public'::regnamespace \
    UNION ALL SELECT concat_ws(' ', 'sequence', sequencename, last_value) FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1";

async fn texts(db: &Database, sql: &str) -> Vec<String> {
    let mut reader = db.read_conn().await.expect("a connection");
    let Connection::Postgres(c, _) = reader.connection() else { panic!("PostgreSQL") };
    let rows: Vec<(String,)> = sqlx::query_as(AssertSqlSafe(sql.to_owned()))
        .fetch_all(c)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.into_iter().map(|(text,)| text).collect()
}

async fn number(db: &Database, sql: &str) -> i64 {
    let mut reader = db.read_conn().await.expect("a connection");
    let Connection::Postgres(c, _) = reader.connection() else { panic!("PostgreSQL") };
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT ({sql})::bigint")))
        .fetch_one(c)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Every row of the ten tables, by table and id.
async fn rows(db: &Database) -> BTreeMap<String, Value> {
    let mut rows = BTreeMap::new();
    for table in TABLES {
        for text in texts(db, &format!("SELECT to_jsonb(t)::text FROM {table} t ORDER BY id")).await {
            let row: Value = serde_json::from_str(&text).expect("JSON");
            rows.insert(format!("{table} {}", row["id"]), row);
        }
    }
    rows
}

/// The schema and every row.
async fn everything(db: &Database) -> (Vec<String>, BTreeMap<String, Value>) {
    (texts(db, CATALOG).await, rows(db).await)
}

/// Fails unless `after` has every row of `before` with its id and content. NULLs may be filled and columns added.
fn assert_kept(layout: &str, before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) {
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>(), "{layout}");
    for (name, row) in before {
        for (column, value) in row.as_object().expect("a row") {
            let now = &after[name][column];
            assert!(
                value == now || value.is_null() && !now.is_null(),
                "{layout}: {name} {column}: {value} became {now}"
            );
        }
    }
}

/// Fails unless the database is adopted, and all that this program relies on is there.
async fn assert_adopted(db: &Database, layout: &str) {
    let adopted = adoption::find(db).await.expect("reads").unwrap_or_else(|| panic!("{layout} is not adopted"));
    assert_eq!(adopted.layout, layout);
    assert_eq!(number(db, "SELECT count(*) FROM adoption WHERE finished_at IS NOT NULL").await, 1, "{layout}");
    assert!(migrations::status(db).await.expect("ours").iter().all(|step| step.applied), "{layout}");
    let invalid = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid";
    assert_eq!(texts(db, invalid).await, [""; 0], "{layout}");
    let nulls = "SELECT (SELECT count(*) FROM users WHERE created_at IS NULL OR status IS NULL) \
        + (SELECT count(*) FROM sessions WHERE start_time IS NULL) + (SELECT count(*) FROM emotion_detections WHERE timestamp IS NULL) \
        + (SELECT count(*) FROM community_posts WHERE created_at IS NULL OR updated_at IS NULL) \
        + (SELECT count(*) FROM community_comments WHERE created_at IS NULL OR updated_at IS NULL) \
        + (SELECT count(*) FROM reminders WHERE created_at IS NULL OR is_active IS NULL)";
    assert_eq!(number(db, nulls).await, 0, "{layout}");
}
