//! A table of one room, written page by page.

use faceofmind_kit::{Failure, Snapshot, on};
use serde::Serialize;
use sqlx::{FromRow, postgres::PgRow, sqlite::SqliteRow};

use super::{CutShort, Document};
use crate::user_registry::UserId;

/// Rows read at once. A page is all that is held of a table.
pub const PAGE: usize = 64;

/// Writes the user's rows of a table as the list `name`. `sql` takes the user, the key after which to go on, and how many rows to read, in
/// the order of their keys; `key` tells a row's.
///
/// # Errors
/// [`CutShort`].
pub async fn table<R>(
    snapshot: &mut Snapshot,
    document: &mut Document,
    name: &str,
    sql: &'static str,
    user: UserId,
    key: fn(&R) -> i64,
) -> Result<(), CutShort>
where
    R: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Serialize + Send + Sync + Unpin,
{
    let mut list = document.list(name)?;
    let mut after = 0;
    loop {
        let rows: Vec<R> = page(snapshot, sql, user, after).await?;
        let Some(last) = rows.last() else { break };
        after = key(last);
        for row in &rows {
            list.item(row).await?;
        }
    }
    list.close();
    Ok(())
}

/// The user's rows after that key, [`PAGE`] at most.
///
/// # Errors
/// [`Failure::Store`].
pub async fn page<R>(snapshot: &mut Snapshot, sql: &'static str, user: UserId, after: i64) -> Result<Vec<R>, Failure>
where
    R: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
{
    Ok(on!(snapshot.connection(), c => sqlx::query_as(sql)
        .bind(user).bind(after).bind(PAGE as i64)
        .fetch_all(c).await)?)
}
