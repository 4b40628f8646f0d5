//! Keys of a batch, settled or released together.

use std::sync::LazyLock;

use faceofmind_db::{BulkStatement, MAX_ROWS, Tx, pad_with_nulls, with_conn};
use faceofmind_runtime::legacy::Failure;

use super::{Answer, Key, seal};
use crate::encryption::Keyring;

static SETTLE: LazyLock<BulkStatement> = LazyLock::new(|| {
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

/// Keeps the answers to claims that were [`Claim::First`](super::Claim::First), in the same transaction.
///
/// # Errors
/// As [`settle`](super::settle).
pub async fn settle_all(tx: &mut Tx, keyring: &Keyring, answers: &[(&Key, Answer)]) -> Result<(), Failure> {
    for some in answers.chunks(MAX_ROWS) {
        let sealed = some.iter().map(|(key, answer)| Ok((*key, seal(keyring, key, answer)?)));
        let sealed: Vec<(&Key, String)> = sealed.collect::<Result<_, Failure>>()?;
        with_conn!(tx.connection(), c => {
            let mut query = sqlx::query(SETTLE.sql(sealed.len()));
            for row in pad_with_nulls(sealed.iter()) {
                query = query
                    .bind(row.map(|(key, _)| key.user))
                    .bind(row.map(|(key, _)| key.call.as_str()))
                    .bind(row.map(|(key, _)| key.key.as_str()))
                    .bind(row.map(|(_, sealed)| sealed.as_str()));
            }
            query.execute(c).await.map(drop)
        })?;
    }
    Ok(())
}

/// Gives back keys that were claimed in this transaction, and of whose changes nothing came: a call that is refused leaves no key.
///
/// # Errors
/// [`Failure::Store`].
pub async fn release_all(tx: &mut Tx, keys: &[&Key]) -> Result<(), Failure> {
    for some in keys.chunks(MAX_ROWS) {
        with_conn!(tx.connection(), c => {
            let mut query = sqlx::query(RELEASE.sql(some.len()));
            for key in pad_with_nulls(some.iter()) {
                query = query
                    .bind(key.map(|key| key.user))
                    .bind(key.map(|key| key.call.as_str()))
                    .bind(key.map(|key| key.key.as_str()));
            }
            query.execute(c).await.map(drop)
        })?;
    }
    Ok(())
}
