//! Reads and changes the database beside the service, and reads the database's schema.

use std::collections::BTreeMap;

use faceofmind_db::{Connection, with_conn};
use sqlx::AssertSqlSafe;

use super::TestApp;

/// The tables of what is recorded in sessions.
pub(crate) const RECORDED: [&str; 6] =
    ["emotion_detections", "detection_details", "facial_data", "voice_data", "wellness_suggestions", "feedback"];

/// Tables whose rows come and go without a request, or follow from those of other tables.
const VOLATILE: [&str; 11] = [
    "codes",
    "comment_counts",
    "counters",
    "emotion_counts",
    "leases",
    "mail_intents",
    "session_suggestions",
    "uncounted_sessions",
    "unlisted_suggestions",
    "user_count_changes",
    "user_counts",
];

/// Every field of every hash of one-time codes.
async fn codes_in_redis(url: &str) -> Vec<String> {
    let client = redis::Client::open(url).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis answers");
    let keys: Vec<String> = redis::cmd("KEYS").arg("fom:codes:*").query_async(&mut connection).await.expect("keys");
    let mut codes = Vec::new();
    for key in keys {
        let fields: Vec<(String, String)> =
            redis::cmd("HGETALL").arg(&key).query_async(&mut connection).await.expect("a hash");
        codes.extend(fields.into_iter().map(|(id, code)| format!("{key} {id} {code}")));
    }
    codes
}

/// The tables of the database by their names.
pub(crate) type Schema = BTreeMap<String, Table>;

#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    /// The foreign keys: column, table referred to, column there.
    references: Vec<(String, String, String)>,
}

impl Table {
    pub(crate) fn is_foreign_key(&self, column: &str) -> bool {
        self.references.iter().any(|(name, _, _)| name == column)
    }
}

/// The condition by which a row of this table belongs to the user: the row's own `user_id`, or a foreign key that leads
/// to a row of the user. `None` for a table that leads to no user.
pub(crate) fn owned_by(schema: &Schema, table: &str, user: i64) -> Option<String> {
    let Table { columns, references } = &schema[table];
    if table == "users" {
        return Some(format!("id = {user}"));
    }
    if columns.iter().any(|column| column == "user_id") {
        return Some(format!("user_id = {user}"));
    }
    references.iter().find_map(|(column, parent, key)| {
        let condition = owned_by(schema, parent, user)?;
        Some(format!("{column} IN (SELECT {key} FROM {parent} WHERE {condition})"))
    })
}

impl TestApp {
    /// The single number that a query gives.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let mut reader = self.database().read_conn().await.expect("the database answers");
        let query = AssertSqlSafe(sql.to_owned());
        let row: (i64,) =
            with_conn!(reader.connection(), c => sqlx::query_as(query).fetch_one(c).await).expect("a number");
        row.0
    }

    /// The texts in the only column that a query gives.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        let mut reader = self.database().read_conn().await.expect("the database answers");
        let query = AssertSqlSafe(sql.to_owned());
        let rows: Vec<(String,)> =
            with_conn!(reader.connection(), c => sqlx::query_as(query).fetch_all(c).await).expect("texts");
        rows.into_iter().map(|row| row.0).collect()
    }

    /// Runs a statement.
    pub(crate) async fn execute(&self, sql: &str) {
        let mut tx = self.database().begin().await.expect("the database answers");
        let query = AssertSqlSafe(sql.to_owned());
        with_conn!(tx.connection(), c => sqlx::query(query).execute(c).await.map(drop))
            .expect("the statement is valid");
        tx.commit().await.expect("commits");
    }

    /// A timestamp in the past as the database writes it.
    pub(crate) fn past_timestamp(&self) -> &'static str {
        if self.is_embedded() { "1763925600000000" } else { "'2025-11-23T19:20:00Z'" }
    }

    /// The one-time codes that are stored: the texts of their rows, or their keys and fields in Redis.
    pub(crate) async fn stored_codes(&self) -> Vec<String> {
        match self.env.redis() {
            None => {
                self.texts("SELECT id || ' ' || address || ' ' || mac || ' ' || intent || ' ' || client FROM codes")
                    .await
            }
            Some(url) => codes_in_redis(url).await,
        }
    }

    pub(crate) async fn row_count(&self, table: &str) -> i64 {
        self.number(&format!("SELECT count(*) FROM {table}")).await
    }

    /// The number of rows in each table that a request may fill. Equal counts before and after a request mean that it
    /// stored nothing.
    pub(crate) async fn row_counts(&self) -> Vec<(String, i64)> {
        let mut counts = Vec::new();
        for table in self.schema().await.into_keys().filter(|table| !VOLATILE.contains(&table.as_str())) {
            let count = self.row_count(&table).await;
            counts.push((table, count));
        }
        counts
    }

    /// The database's schema, as the database describes it.
    pub(crate) async fn schema(&self) -> Schema {
        let columns: Vec<(String, String)>;
        let references: Vec<(String, String, String, String)>;
        let mut reader = self.database().read_conn().await.expect("the database answers");
        match reader.connection() {
            Connection::Postgres(c, _) => {
                let sql = "SELECT table_name::text, column_name::text FROM information_schema.columns \
                    WHERE table_schema = current_schema() ORDER BY 1, 2";
                columns = sqlx::query_as(sql).fetch_all(&mut *c).await.expect("columns");
                let sql = "SELECT k.table_name::text, k.column_name::text, u.table_name::text, u.column_name::text \
                    FROM information_schema.referential_constraints r \
                    JOIN information_schema.key_column_usage k USING (constraint_schema, constraint_name) \
                    JOIN information_schema.constraint_column_usage u USING (constraint_schema, constraint_name) \
                    WHERE r.constraint_schema = current_schema()";
                references = sqlx::query_as(sql).fetch_all(c).await.expect("foreign keys");
            }
            Connection::Sqlite(c, _) => {
                // Without the index of a search, which is a virtual table without texts, and the tables behind it.
                let sql = "SELECT t.name, c.name FROM pragma_table_list t JOIN pragma_table_info(t.name) c \
                    WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY 1, 2";
                columns = sqlx::query_as(sql).fetch_all(&mut *c).await.expect("columns");
                let sql = "SELECT t.name, k.\"from\", k.\"table\", k.\"to\" \
                    FROM sqlite_master t JOIN pragma_foreign_key_list(t.name) k WHERE t.type = 'table'";
                references = sqlx::query_as(sql).fetch_all(c).await.expect("foreign keys");
            }
        }
        let mut schema = Schema::new();
        for (table, column) in columns {
            schema.entry(table).or_default().columns.push(column);
        }
        for (table, column, parent, key) in references {
            schema.entry(table).or_default().references.push((column, parent, key));
        }
        schema
    }
}
