//! How much of PostgreSQL a statement reads.

use faceofmind_db::{Connection, Database};
use sqlx::AssertSqlSafe;

/// Runs statements on PostgreSQL, each in a transaction of its own, and then brings its statistics and visibility maps up to date, by which it
/// chooses indexes.
///
/// # Panics
/// On SQLite, and when a statement fails.
pub async fn fill(db: &Database, statements: &[&str]) {
    for sql in statements.iter().chain(&["VACUUM ANALYZE"]) {
        let mut reader = db.read_conn().await.expect("a connection");
        let Connection::Postgres(c, _) = reader.connection() else { panic!("PostgreSQL") };
        sqlx::raw_sql(AssertSqlSafe((*sql).to_owned()))
            .execute(c)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// Returns the number of pages that a statement with these parameters touches, in memory or on disk, a page as often as it is touched.
///
/// # Panics
/// As [`fill`].
pub async fn pages_touched(db: &Database, sql: &str, parameters: &str) -> u64 {
    let mut reader = db.read_conn().await.expect("a connection");
    let Connection::Postgres(c, _) = reader.connection() else { panic!("PostgreSQL") };
    let prepare = AssertSqlSafe(format!("PREPARE measured AS {sql}"));
    sqlx::raw_sql(prepare).execute(&mut *c).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let explain = AssertSqlSafe(format!("EXPLAIN (ANALYZE, BUFFERS) EXECUTE measured ({parameters})"));
    let plan: Vec<String> = sqlx::query_scalar(explain).fetch_all(&mut *c).await.expect("explains");
    sqlx::raw_sql("DEALLOCATE measured").execute(c).await.expect("forgets it");
    // The first node stands for all; what planning reads comes last.
    let buffers = plan.iter().find_map(|line| line.trim().strip_prefix("Buffers: shared "));
    let buffers = buffers.unwrap_or_else(|| panic!("no pages in {plan:#?}"));
    let numbers = buffers.split([' ', ',']).filter_map(|part| part.strip_prefix("hit=").or(part.strip_prefix("read=")));
    numbers.map(|number| number.parse::<u64>().expect("a number")).sum()
}
