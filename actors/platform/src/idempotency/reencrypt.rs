//! Re-encryption of stored responses, beside a running service.

use faceofmind_db::{Database, StoreError, Tx, with_conn};
use faceofmind_model::UserId;
use futures_util::TryStreamExt as _;
use sqlx::FromRow;

use super::aad;
use crate::encryption::RotationPass;

/// The most responses in one transaction. SQLite's other writers wait for it.
const PAGE_SIZE: i64 = 200;
/// A page ends when its responses have that many bytes.
const PAGE_BYTES: usize = 4 << 20;

const PAGE: &str = "SELECT user_id, call, key, answer FROM idempotency_keys \
    WHERE (user_id, call, key) > ($1, $2, $3) AND answer IS NOT NULL ORDER BY user_id, call, key LIMIT $4";
const REPLACE: &str =
    "UPDATE idempotency_keys SET answer = $5 WHERE user_id = $1 AND call = $2 AND key = $3 AND answer = $4";
/// Skips locked rows, to avoid deadlocks. A locked row is about to be replaced or deleted.
const REPLACE_IF_UNLOCKED: &str = "UPDATE idempotency_keys SET answer = $5 WHERE (user_id, call, key) IN \
    (SELECT user_id, call, key FROM idempotency_keys \
     WHERE user_id = $1 AND call = $2 AND key = $3 AND answer = $4 FOR UPDATE SKIP LOCKED)";

#[derive(FromRow)]
struct Row {
    user_id: UserId,
    call: String,
    key: String,
    answer: String,
}

/// Re-encrypts the stored responses, page by page, each page in one transaction. A response that changes meanwhile is skipped. After an
/// error the pages before stay re-encrypted.
pub async fn reencrypt(db: &Database, pass: &mut RotationPass<'_>) -> Result<(), StoreError> {
    let mut after = (UserId(0), String::new(), String::new());
    loop {
        let mut reader = db.read_conn().await?;
        let page = with_conn!(reader.connection(), c => {
            let mut rows = sqlx::query_as(PAGE).bind(after.0).bind(&after.1).bind(&after.2).bind(PAGE_SIZE).fetch(c);
            let (mut page, mut bytes) = (Vec::new(), 0);
            while bytes < PAGE_BYTES {
                let row: Option<Row> = rows.try_next().await?;
                let Some(row) = row else { break };
                bytes += row.answer.len();
                page.push(row);
            }
            Ok(page)
        })?;
        drop(reader);
        let Some(last) = page.last() else { return Ok(()) };
        after = (last.user_id, last.call.clone(), last.key.clone());
        let rewritten = page.into_iter().filter_map(|row| {
            let new = pass.visit(&aad(row.user_id, &row.call, &row.key), &row.answer)?;
            Some((row, new))
        });
        let replaced = replace(db, rewritten.collect()).await?;
        pass.page_done(replaced);
    }
}

async fn replace(db: &Database, rewritten: Vec<(Row, String)>) -> Result<u64, StoreError> {
    if rewritten.is_empty() {
        return Ok(0);
    }
    let mut replaced = 0;
    let mut tx = db.begin().await?;
    let sql = if matches!(tx, Tx::Postgres(_)) { REPLACE_IF_UNLOCKED } else { REPLACE };
    for (old, new) in rewritten {
        replaced += with_conn!(tx.connection(), c => sqlx::query(sql)
            .bind(old.user_id).bind(old.call).bind(old.key).bind(old.answer).bind(new)
            .execute(c).await.map(|done| done.rows_affected()))?;
    }
    tx.commit().await?;
    Ok(replaced)
}
