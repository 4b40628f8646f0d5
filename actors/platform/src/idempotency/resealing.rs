//! Kept answers, sealed anew by today's key. Beside a service at work.

use faceofmind_db::{Database, Tx, with_conn};
use faceofmind_runtime::legacy::Failure;
use sqlx::FromRow;

use super::place;
use crate::encryption::Round;
use faceofmind_model::user::UserId;

/// Answers in one transaction at most: SQLite's other writers wait for no more.
const AT_ONCE: i64 = 200;

const PAGE: &str = "SELECT user_id, call, key, answer FROM idempotency_keys \
    WHERE (user_id, call, key) > ($1, $2, $3) AND answer IS NOT NULL ORDER BY user_id, call, key LIMIT $4";
const REPLACE: &str =
    "UPDATE idempotency_keys SET answer = $5 WHERE user_id = $1 AND call = $2 AND key = $3 AND answer = $4";
/// Waits for nobody, so that nobody waits in a circle: what somebody else holds, they are about to replace or to delete.
const REPLACE_IF_FREE: &str = "UPDATE idempotency_keys SET answer = $5 WHERE (user_id, call, key) IN \
    (SELECT user_id, call, key FROM idempotency_keys \
     WHERE user_id = $1 AND call = $2 AND key = $3 AND answer = $4 FOR UPDATE SKIP LOCKED)";

#[derive(FromRow)]
struct Row {
    user_id: UserId,
    call: String,
    key: String,
    answer: String,
}

/// Leads a round through the kept answers, page by page, each page one transaction. One that was changed or deleted meanwhile stays so.
///
/// # Errors
/// [`Failure::Store`]; the pages before stay done.
pub async fn reseal(db: &Database, round: &mut Round<'_>) -> Result<(), Failure> {
    let mut after = (UserId(0), String::new(), String::new());
    loop {
        let mut reader = db.read_conn().await?;
        let page: Vec<Row> = with_conn!(reader.connection(), c => sqlx::query_as(PAGE)
            .bind(after.0).bind(&after.1).bind(&after.2).bind(AT_ONCE).fetch_all(c).await)?;
        drop(reader);
        let Some(last) = page.last() else { return Ok(()) };
        after = (last.user_id, last.call.clone(), last.key.clone());
        let renewed = page.into_iter().filter_map(|row| {
            let new = round.look(&place(row.user_id, &row.call, &row.key), &row.answer)?;
            Some((row, new))
        });
        let replaced = replace(db, renewed.collect()).await?;
        round.turn_page(replaced);
    }
}

async fn replace(db: &Database, renewed: Vec<(Row, String)>) -> Result<u64, Failure> {
    if renewed.is_empty() {
        return Ok(0);
    }
    let mut replaced = 0;
    let mut tx = db.begin().await?;
    let sql = if matches!(tx, Tx::Postgres(_)) { REPLACE_IF_FREE } else { REPLACE };
    for (old, new) in renewed {
        replaced += with_conn!(tx.connection(), c => sqlx::query(sql)
            .bind(old.user_id).bind(old.call).bind(old.key).bind(old.answer).bind(new)
            .execute(c).await.map(|done| done.rows_affected()))?;
    }
    tx.commit().await?;
    Ok(replaced)
}
