//! What the service keeps, as its operator would look at it.

use faceofmind_kit::on;
use sqlx::AssertSqlSafe;

use super::TestApp;

/// What is recorded in sessions.
pub(crate) const RECORDED: [&str; 6] =
    ["emotion_detections", "detection_details", "facial_data", "voice_data", "wellness_suggestions", "feedback"];

/// Every field of every slot.
async fn codes_in_redis(url: &str) -> Vec<String> {
    let client = redis::Client::open(url).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis answers");
    let slots: Vec<String> = redis::cmd("KEYS").arg("fom:codes:*").query_async(&mut connection).await.expect("keys");
    let mut codes = Vec::new();
    for slot in slots {
        let held: Vec<(String, String)> =
            redis::cmd("HGETALL").arg(&slot).query_async(&mut connection).await.expect("a hash");
        codes.extend(held.into_iter().map(|(id, code)| format!("{slot} {id} {code}")));
    }
    codes
}

impl TestApp {
    /// The single number that a query gives.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let mut reader = self.database().reader().await.expect("the database answers");
        let query = AssertSqlSafe(sql.to_owned());
        let row: (i64,) =
            on!(reader.connection(), c => sqlx::query_as(query).fetch_one(c).await).expect("a query of ours");
        row.0
    }

    /// The texts of a query's only column.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        let mut reader = self.database().reader().await.expect("the database answers");
        let query = AssertSqlSafe(sql.to_owned());
        let rows: Vec<(String,)> =
            on!(reader.connection(), c => sqlx::query_as(query).fetch_all(c).await).expect("a query of ours");
        rows.into_iter().map(|row| row.0).collect()
    }

    /// Each code that is kept: its texts in the table, or its key, its name and its JSON in Redis.
    pub(crate) async fn stored_codes(&self) -> Vec<String> {
        match self.env.redis() {
            None => {
                self.texts("SELECT id || ' ' || address || ' ' || mac || ' ' || intent || ' ' || client FROM codes")
                    .await
            }
            Some(url) => codes_in_redis(url).await,
        }
    }

    /// How many rows a table has.
    pub(crate) async fn row_count(&self, table: &str) -> i64 {
        self.number(&format!("SELECT count(*) FROM {table}")).await
    }

    /// Changes what is kept, behind the service's back.
    pub(crate) async fn execute(&self, sql: &str) {
        let mut tx = self.database().begin().await.expect("the database answers");
        let query = AssertSqlSafe(sql.to_owned());
        on!(tx.connection(), c => sqlx::query(query).execute(c).await.map(drop)).expect("a statement of ours");
        tx.commit().await.expect("commits");
    }

    /// How many rows each table has that a request may fill: equal before and after means that nothing was stored.
    pub(crate) async fn row_counts(&self) -> Vec<(&'static str, i64)> {
        let mut stock = Vec::new();
        let accounts = ["users", "claims", "address_changes", "logins", "sessions", "events", "idempotency_keys"];
        let written = ["community_posts", "community_comments", "reminders", "reminder_schedules"];
        for table in accounts.into_iter().chain(written).chain(RECORDED) {
            stock.push((table, self.row_count(table).await));
        }
        stock
    }
}
