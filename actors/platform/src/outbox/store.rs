//! The outbox table: events are inserted in the transaction of the change that they report, and read to be published.
//!
//! Events of one aggregate that are recorded one after another share a row, up to [`MAX_EVENTS`] of them: one line each in `envelope`. *Why*: a row
//! has five indexes, and is written twice. The row has the id of its first event and the position of its last one.

use std::{borrow::Cow, sync::LazyLock};

use faceofmind_base::Timestamp;
use faceofmind_db::{BulkStatement, Database, MAX_ROWS, StoreError, Tx, pad_with_nulls, with_conn};
use faceofmind_model::{UserId, event::CloudEvent};
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::AssertSqlSafe;

pub(super) mod pending;
pub(super) mod published;
pub(super) mod refill;

/// The most events that a row holds. A page of rows must fit into memory.
const MAX_EVENTS: usize = 32;
/// The most rows that one statement locks or places. SQLite takes 32,766 parameters in a statement, and a row two of them.
const MAX_ROWS_OF_STATEMENT: usize = 4096;
/// The most rows that one DELETE of a sweep takes, so that it holds its locks for a short time.
const SWEEP_BATCH: i64 = 1000;

static RECORD: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "INSERT INTO events (id, aggregate, user_id, envelope, recorded_at, event_count) \
               SELECT column1, column2, column3, column4, column5, column6 FROM (VALUES {rows}) AS new_events \
               WHERE column1 IS NOT NULL";
    BulkStatement::new(sql, 1, 6)
});
const BACKLOG: &str = "SELECT coalesce(sum(CASE WHEN refusal IS NULL THEN event_count END), 0), \
     coalesce(sum(CASE WHEN refusal IS NOT NULL THEN event_count END), 0), min(CASE WHEN refusal IS NULL THEN recorded_at END) FROM \
     (SELECT recorded_at, refusal, event_count FROM events WHERE position IS NULL ORDER BY seq LIMIT $1) AS pending";
const UNPUBLISHED_OF_USER: &str =
    "SELECT seq FROM events WHERE user_id = $1 AND position IS NULL ORDER BY seq LIMIT $2";
const PUBLISHED_OF_USER: &str =
    "SELECT seq FROM events WHERE user_id = $1 AND position IS NOT NULL ORDER BY position LIMIT $2";
const DELETE: &str = "DELETE FROM events WHERE seq IN ";
const REDACT: &str = "UPDATE events SET user_id = 0, aggregate = '', envelope = '' WHERE seq IN ";
/// Keeps the last position: the next one is counted from it.
const SWEEP: &str = "DELETE FROM events WHERE seq IN \
     (SELECT seq FROM events WHERE position IS NOT NULL ORDER BY position LIMIT $1) \
     AND published_at < $2 AND position < (SELECT max(position) FROM events)";

/// Records an event in the transaction of the change that it reports. Wake the publisher after the commit.
///
/// *Requires* that the transaction has locked or written the row of the event's aggregate before, so that the events of one aggregate are
/// recorded in the order in which they happened.
pub async fn record(tx: &mut Tx, event: &CloudEvent) -> Result<(), StoreError> {
    record_many(tx, std::slice::from_ref(event)).await
}

/// Records the events of a batch, in their order, with one statement for up to [`MAX_ROWS`] rows. *Requires* the same as [`record`].
pub async fn record_many(tx: &mut Tx, events: &[CloudEvent]) -> Result<(), StoreError> {
    for rows in new_rows(events).chunks(MAX_ROWS) {
        with_conn!(tx.connection(), c => {
            let mut query = sqlx::query(RECORD.sql(rows.len()));
            for row in pad_with_nulls(rows.iter()) {
                query = query
                    .bind(row.map(|row| row.first.id().to_string()))
                    .bind(row.map(|row| row.first.aggregate()))
                    .bind(row.map(|row| row.first.user_id()))
                    .bind(row.map(|row| row.envelopes.as_ref()))
                    .bind(row.map(|row| row.first.recorded_at()))
                    .bind(row.map(|row| row.event_count));
            }
            query.execute(c).await.map(drop)
        })?;
    }
    Ok(())
}

/// A row to insert.
struct NewRow<'a> {
    first: &'a CloudEvent,
    envelopes: Cow<'a, str>,
    event_count: i32,
}

fn new_rows(events: &[CloudEvent]) -> Vec<NewRow<'_>> {
    let same_row = |a: &CloudEvent, b: &CloudEvent| (a.aggregate(), a.user_id()) == (b.aggregate(), b.user_id());
    let rows = events.chunk_by(same_row).flat_map(|events| events.chunks(MAX_EVENTS));
    rows.filter_map(new_row).collect()
}

fn new_row(events: &[CloudEvent]) -> Option<NewRow<'_>> {
    let envelopes = match events {
        [event] => Cow::Borrowed(event.envelope()),
        _ => Cow::Owned(events.iter().map(CloudEvent::envelope).collect::<Vec<_>>().join("\n")),
    };
    Some(NewRow { first: events.first()?, envelopes, event_count: i32::try_from(events.len()).ok()? })
}

/// Erases a user from the outbox, in a transaction that erases the user: deletes the unpublished rows, and keeps only the positions of
/// the published ones; up to `max_rows` of each. Returns whether some may remain. Record `user.deleted` when none remain.
pub async fn erase(tx: &mut Tx, user: UserId, max_rows: usize) -> Result<bool, StoreError> {
    // The unpublished ones first: a row that is published meanwhile is then among the others.
    let deleted = change_rows(tx, DELETE, UNPUBLISHED_OF_USER, (user, max_rows)).await?;
    let redacted = change_rows(tx, REDACT, PUBLISHED_OF_USER, (user, max_rows)).await?;
    Ok(deleted == max_rows as u64 || redacted == max_rows as u64)
}

/// Locks the selected rows in the order in which other transactions lock them, then changes them. Returns their number.
async fn change_rows(
    tx: &mut Tx,
    change: &str,
    select: &str,
    (user, max_rows): (UserId, usize),
) -> Result<u64, StoreError> {
    let limit = as_limit(max_rows);
    tx.on_postgres(sqlx::query(AssertSqlSafe(format!("{select} FOR UPDATE"))).bind(user).bind(limit)).await?;
    let sql = AssertSqlSafe(format!("{change} ({select})"));
    Ok(with_conn!(tx.connection(), c => sqlx::query(sql)
        .bind(user).bind(limit).execute(c).await.map(|done| done.rows_affected()))?)
}

/// Deletes a portion of the events published before `before`, oldest first, and returns the number of rows.
pub(super) async fn sweep(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    Ok(with_conn!(tx.connection(), c => sqlx::query(SWEEP)
        .bind(SWEEP_BATCH).bind(before).execute(c).await.map(|done| done.rows_affected()))?)
}

/// The events that wait to be published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Backlog {
    /// How many, counted in the first 10,000 rows of the outbox.
    pub events: i64,
    /// How many cannot be published: dead letters.
    pub refused: i64,
    /// When the oldest was recorded. Null when none waits.
    pub oldest: Option<Timestamp>,
}

const MAX_COUNTED: i64 = 10_000;

pub(super) async fn backlog(db: &Database) -> Result<Backlog, StoreError> {
    let mut reader = db.read_conn().await?;
    let (events, refused, oldest) =
        with_conn!(reader.connection(), c => sqlx::query_as(BACKLOG).bind(MAX_COUNTED).fetch_one(c).await)?;
    Ok(Backlog { events, refused, oldest })
}

fn as_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Returns the text of a query of rows in the order of `key`, which returns rows until they have `$1` events or more. `key` and `event_count` are
/// among the columns.
macro_rules! page_of_events {
    ($columns:literal, $key:literal, $condition:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM (SELECT *, sum(event_count) OVER (ORDER BY ",
            $key,
            ") - event_count AS events_before \
             FROM (SELECT ",
            $columns,
            " FROM events WHERE ",
            $condition,
            " ORDER BY ",
            $key,
            " LIMIT $1) AS page) AS counted \
             WHERE events_before < $1 ORDER BY ",
            $key
        )
    };
}
use page_of_events;
