//! Lists the suggestions that are older than `session_suggestions` (migration 19). Until that is done, the list of sessions looks among the
//! detections, so this is about time, never about what it says.
//!
//! Goes through the suggestions by id. Between two transactions it rests for as long as the last one took. Of several nodes, one lists at a
//! time. What is written meanwhile is listed by triggers.

use faceofmind_db::{Database, StoreError, Tx, with_conn};
use sqlx::AssertSqlSafe;
use tokio::time::Instant;

use super::history::SuggestionId;

/// The suggestions that one transaction lists: some 50 ms of the database.
const PORTION: u32 = 2_000;

const UNLISTED: &str = "SELECT first_id, last_id FROM unlisted_suggestions";
/// A session that another program moves its detection to is listed by that program's triggers.
const LIST: &str = "INSERT INTO session_suggestions (suggestion_id, session_id) \
    SELECT w.id, d.session_id FROM wellness_suggestions w JOIN emotion_detections d ON d.id = w.detection_id \
    WHERE w.id BETWEEN $1 AND $2 AND EXISTS (SELECT 1 FROM sessions s WHERE s.id = d.session_id)";
/// Everything that the service writes into a session locks it. Never waits while it holds some of them: a long transaction of another program
/// would stop the service. A later try lists them.
const LOCK: &str = "SELECT id FROM sessions WHERE id = ANY (ARRAY( \
        SELECT d.session_id FROM wellness_suggestions w JOIN emotion_detections d ON d.id = w.detection_id \
        WHERE w.id BETWEEN $1 AND $2)) ORDER BY id FOR NO KEY UPDATE NOWAIT";
const GO_ON: &str = "UPDATE unlisted_suggestions SET first_id = $1";

/// Lists every older suggestion.
pub(super) async fn list_all(db: &Database) -> Result<(), StoreError> {
    loop {
        let begun = Instant::now();
        if !list_some(db, PORTION).await? {
            return Ok(());
        }
        tokio::time::sleep(begun.elapsed()).await;
    }
}

/// Lists the next suggestions. Returns whether some may remain for this node.
pub(super) async fn list_some(db: &Database, portion: u32) -> Result<bool, StoreError> {
    let mut tx = db.begin().await?;
    let Some((first, last)) = unlisted(&mut tx).await? else { return Ok(false) };
    let end = end_of_portion(&mut tx, (first, last), portion).await?;
    if let Some(end) = end {
        list(&mut tx, first, end).await?;
    }
    let rows_remain = end.is_some_and(|end| end < last);
    match end {
        Some(end) if rows_remain => go_on(&mut tx, SuggestionId(end.0 + 1)).await?,
        _ => finish(&mut tx).await?,
    }
    tx.commit().await?;
    Ok(rows_remain)
}

/// The first and the last id, locked. None when all are listed, or while another node lists them.
async fn unlisted(tx: &mut Tx) -> Result<Option<(SuggestionId, SuggestionId)>, StoreError> {
    let lock = if matches!(tx, Tx::Postgres(_)) { " FOR UPDATE SKIP LOCKED" } else { "" };
    let select = AssertSqlSafe(format!("{UNLISTED}{lock}"));
    Ok(with_conn!(tx.connection(), c => sqlx::query_as(select).fetch_optional(c).await)?)
}

async fn end_of_portion(
    tx: &mut Tx,
    (first, last): (SuggestionId, SuggestionId),
    portion: u32,
) -> Result<Option<SuggestionId>, StoreError> {
    let select = "SELECT max(id) FROM \
        (SELECT id FROM wellness_suggestions WHERE id BETWEEN $1 AND $2 ORDER BY id LIMIT $3) AS portion";
    Ok(with_conn!(tx.connection(), c =>
        sqlx::query_scalar(select).bind(first).bind(last).bind(i64::from(portion)).fetch_one(c).await)?)
}

/// Fails on PostgreSQL while another program writes one of the sessions, the suggestions or their detections.
async fn list(tx: &mut Tx, first: SuggestionId, end: SuggestionId) -> Result<(), StoreError> {
    tx.on_postgres(sqlx::query(LOCK).bind(first).bind(end)).await?;
    let lock = if matches!(tx, Tx::Postgres(_)) { " ORDER BY w.id FOR SHARE OF w, d NOWAIT" } else { "" };
    let insert = AssertSqlSafe(format!("{LIST}{lock} ON CONFLICT (suggestion_id) DO NOTHING"));
    Ok(with_conn!(tx.connection(), c => sqlx::query(insert).bind(first).bind(end).execute(c).await.map(drop))?)
}

async fn go_on(tx: &mut Tx, first: SuggestionId) -> Result<(), StoreError> {
    Ok(with_conn!(tx.connection(), c => sqlx::query(GO_ON).bind(first).execute(c).await.map(drop))?)
}

async fn finish(tx: &mut Tx) -> Result<(), StoreError> {
    let delete = "DELETE FROM unlisted_suggestions";
    Ok(with_conn!(tx.connection(), c => sqlx::query(delete).execute(c).await.map(drop))?)
}
