//! sqlx alone: one transaction for each session, on a database with the service's schema and its pragmas.

use std::{fs, path::Path, time::Duration};

use anyhow::Result;
use sqlx::{
    Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::time::Instant;

const USER: &str = "INSERT INTO users (email, first_name, last_name, created_at) VALUES ($1, '', '', 0) RETURNING id";
const SESSION: &str = "INSERT INTO sessions (user_id, start_time) VALUES ($1, $2) RETURNING id";
const EVENT: &str = "INSERT INTO events (id, aggregate, user_id, envelope, recorded_at) VALUES ($1, $2, $3, $4, $5)";

/// Inserts for `seconds`, and gives the transactions a second.
pub(crate) async fn insert(database: &Path, seconds: u64, envelope: &Path) -> Result<f64> {
    let (envelope, run) = (fs::read_to_string(envelope)?, std::process::id());
    let mut connection = SqliteConnection::connect_with(&options(database)).await?;
    let email = format!("reference-{run}@example.com");
    let (user,): (i64,) = sqlx::query_as(USER).bind(email).fetch_one(&mut connection).await?;
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(seconds) {
        count += 1;
        let id = format!("00000000-0000-7000-{run:08}-{count:012}");
        insert_one(&mut connection, user, id, &envelope).await?;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

async fn insert_one(connection: &mut SqliteConnection, user: i64, id: String, envelope: &str) -> Result<()> {
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    let (session,): (i64,) = sqlx::query_as(SESSION).bind(user).bind(0).fetch_one(&mut *tx).await?;
    let event = sqlx::query(EVENT).bind(id).bind(format!("session/{session}")).bind(user).bind(envelope).bind(0);
    event.execute(&mut *tx).await?;
    Ok(tx.commit().await?)
}

/// Those of the service.
fn options(database: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(database)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("secure_delete", "on")
}
