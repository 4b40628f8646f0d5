//! Many keys of a batch in one statement.

use std::sync::LazyLock;

use faceofmind_db::{BulkStatement, MAX_ROWS, StoreError, Tx, pad_with_nulls, with_conn};

use super::{IdempotencyKey, StoredResponse, encrypt};
use crate::encryption::Keyring;

static STORE: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "UPDATE idempotency_keys SET answer = asked.column4 FROM (VALUES {rows}) AS asked \
               WHERE user_id = asked.column1 AND call = asked.column2 AND key = asked.column3";
    BulkStatement::new(sql, 1, 4)
});
/// A join: SQLite would scan the table for `(user_id, call, key) IN (VALUES …)`.
static RELEASE: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "DELETE FROM idempotency_keys WHERE answer IS NULL AND (user_id, call, key) IN \
               (SELECT k.user_id, k.call, k.key FROM (VALUES {rows}) AS asked JOIN idempotency_keys k \
               ON k.user_id = asked.column1 AND k.call = asked.column2 AND k.key = asked.column3)";
    BulkStatement::new(sql, 1, 3)
});

/// Stores the responses to claims that were [`ClaimResult::New`](super::ClaimResult::New), in the same transaction.
pub async fn store_responses(
    tx: &mut Tx,
    keyring: &Keyring,
    responses: &[(&IdempotencyKey, StoredResponse)],
) -> Result<(), StoreError> {
    for chunk in responses.chunks(MAX_ROWS) {
        let rows = chunk.iter().map(|(key, response)| Ok((*key, encrypt(keyring, key, response)?)));
        let rows: Vec<(&IdempotencyKey, String)> = rows.collect::<Result<_, StoreError>>()?;
        with_conn!(tx.connection(), c => {
            let mut query = sqlx::query(STORE.sql(rows.len()));
            for row in pad_with_nulls(rows.iter()) {
                query = query
                    .bind(row.map(|(key, _)| key.user))
                    .bind(row.map(|(key, _)| key.endpoint.as_str()))
                    .bind(row.map(|(key, _)| key.key.as_str()))
                    .bind(row.map(|(_, encrypted)| encrypted.as_str()));
            }
            query.execute(c).await.map(drop)
        })?;
    }
    Ok(())
}

/// Releases keys that were claimed in this transaction and whose requests were refused: a refused request leaves no key.
pub async fn release_all(tx: &mut Tx, keys: &[&IdempotencyKey]) -> Result<(), StoreError> {
    for chunk in keys.chunks(MAX_ROWS) {
        with_conn!(tx.connection(), c => {
            let mut query = sqlx::query(RELEASE.sql(chunk.len()));
            for key in pad_with_nulls(chunk.iter()) {
                query = query
                    .bind(key.map(|key| key.user))
                    .bind(key.map(|key| key.endpoint.as_str()))
                    .bind(key.map(|key| key.key.as_str()));
            }
            query.execute(c).await.map(drop)
        })?;
    }
    Ok(())
}
