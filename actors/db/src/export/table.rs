//! The rows of one table that belong to one owner, written page by page.

use serde::Serialize;
use sqlx::{Encode, FromRow, Postgres, Sqlite, Type, postgres::PgRow, sqlite::SqliteRow};

use super::{ExportAborted, JsonWriter};
use crate::{Snapshot, StoreError, with_conn};

/// Rows in a page. An export holds at most one page of a table in memory.
pub const PAGE_SIZE: usize = 64;

/// Writes the owner's rows of a table as the array `name`.
///
/// `sql` takes the owner, the key of the last row of the page before, and the number of rows, and orders by the key; `key` returns a
/// row's key.
///
/// # Errors
/// [`ExportAborted`].
pub async fn write_table<R, O>(
    snapshot: &mut Snapshot,
    writer: &mut JsonWriter,
    name: &str,
    sql: &'static str,
    owner: O,
    key: fn(&R) -> i64,
) -> Result<(), ExportAborted>
where
    R: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Serialize + Send + Sync + Unpin,
    O: Owner,
{
    let mut array = writer.array(name)?;
    let mut after = 0;
    loop {
        let rows: Vec<R> = read_page(snapshot, sql, owner, after).await?;
        let Some(last) = rows.last() else { break };
        after = key(last);
        for row in &rows {
            array.item(row).await?;
        }
    }
    array.close();
    Ok(())
}

/// Reads the owner's next rows after that key, at most [`PAGE_SIZE`].
///
/// # Errors
/// [`StoreError`].
pub async fn read_page<R, O>(
    snapshot: &mut Snapshot,
    sql: &'static str,
    owner: O,
    after: i64,
) -> Result<Vec<R>, StoreError>
where
    R: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    O: Owner,
{
    Ok(with_conn!(snapshot.connection(), c => sqlx::query_as(sql)
        .bind(owner).bind(after).bind(PAGE_SIZE as i64)
        .fetch_all(c).await)?)
}

/// A key that names the owner of rows on both databases.
pub trait Owner:
    Copy + Send + Type<Postgres> + Type<Sqlite> + for<'q> Encode<'q, Postgres> + for<'q> Encode<'q, Sqlite> + 'static
{
}

impl<T> Owner for T where
    T: Copy
        + Send
        + Type<Postgres>
        + Type<Sqlite>
        + for<'q> Encode<'q, Postgres>
        + for<'q> Encode<'q, Sqlite>
        + 'static
{
}
