//! The outbox table: events are inserted in the transaction of the change that they report, and read to be published.

use std::{
    collections::HashSet,
    sync::{
        LazyLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use faceofmind_base::Timestamp;
use faceofmind_db::{BulkStatement, Database, MAX_ROWS, StoreError, Tx, pad_with_nulls, with_conn};
use faceofmind_model::{
    UserId,
    event::{CloudEvent, PublishedEvent, USER_DELETED, subject_of},
};
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::{AssertSqlSafe, Database as Backend, Encode, QueryBuilder, Type};

pub(super) mod refill;

static RECORD: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "INSERT INTO events (id, aggregate, user_id, envelope, recorded_at) \
               SELECT column1, column2, column3, column4, column5 FROM (VALUES {rows}) AS new_events WHERE column1 IS NOT NULL";
    BulkStatement::new(sql, 1, 5)
});
/// How far a clock that was ahead may keep later events ahead.
const MAX_AHEAD: Duration = Duration::from_secs(3600);
/// The most rows that one DELETE of a sweep takes, so that it holds its locks for a short time.
const SWEEP_BATCH: i64 = 1000;

const PENDING: &str = "SELECT seq, id, user_id, envelope FROM events \
     WHERE position IS NULL AND refusal IS NULL ORDER BY seq LIMIT $1";
const REFUSE: &str = "UPDATE events SET refusal = $2 WHERE seq = $1 AND position IS NULL";
const KEPT_POSITIONS: &str = "SELECT coalesce(min(position), 0), coalesce(max(position), 0) FROM events";
const LAST_PUBLISHED: &str =
    "SELECT position, published_at FROM events WHERE position IS NOT NULL ORDER BY position DESC LIMIT 1";
const LAST_POSITION: &str = "SELECT coalesce(max(position), 0) FROM events";
const PUBLISHED_AFTER: &str = "SELECT position, user_id, envelope FROM events \
     WHERE position > $1 AND envelope <> '' ORDER BY position LIMIT $2";
const PUBLISHED_AFTER_ABOUT_USER: &str = "SELECT position, user_id, envelope FROM events \
     WHERE position > $1 AND user_id = $3 ORDER BY position LIMIT $2";
const FIRST_FROM: &str = "SELECT position, published_at FROM events WHERE position >= $1 ORDER BY position LIMIT 1";
const BACKLOG: &str = "SELECT count(*) - count(refusal), count(refusal), min(CASE WHEN refusal IS NULL THEN recorded_at END) FROM \
     (SELECT recorded_at, refusal FROM events WHERE position IS NULL ORDER BY seq LIMIT $1) AS pending";
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

/// Records the events of a batch, in their order, with one statement for up to [`MAX_ROWS`] of them. *Requires* the same as [`record`].
pub async fn record_many(tx: &mut Tx, events: &[CloudEvent]) -> Result<(), StoreError> {
    for chunk in events.chunks(MAX_ROWS) {
        with_conn!(tx.connection(), c => {
            let mut query = sqlx::query(RECORD.sql(chunk.len()));
            for event in pad_with_nulls(chunk.iter()) {
                query = query
                    .bind(event.map(|event| event.id().to_string()))
                    .bind(event.map(|event| event.aggregate()))
                    .bind(event.map(|event| event.user_id()))
                    .bind(event.map(|event| event.envelope()))
                    .bind(event.map(|event| event.recorded_at()));
            }
            query.execute(c).await.map(drop)
        })?;
    }
    Ok(())
}

/// Erases a user from the outbox, in a transaction that erases the user: deletes the unpublished events, and keeps only the positions of
/// the published ones; up to `max_rows` of each. Returns whether some may remain. Record `user.deleted` when none remain.
pub async fn erase(tx: &mut Tx, user: UserId, max_rows: usize) -> Result<bool, StoreError> {
    // The unpublished ones first: an event that is published meanwhile is then among the others.
    let deleted = change_events(tx, DELETE, UNPUBLISHED_OF_USER, (user, max_rows)).await?;
    let redacted = change_events(tx, REDACT, PUBLISHED_OF_USER, (user, max_rows)).await?;
    Ok(deleted == max_rows as u64 || redacted == max_rows as u64)
}

/// Locks the selected events in the order in which other transactions lock them, then changes them. Returns their number.
async fn change_events(
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

/// Deletes a portion of the events published before `before`, oldest first, and returns their number.
pub(super) async fn sweep(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    Ok(with_conn!(tx.connection(), c => sqlx::query(SWEEP)
        .bind(SWEEP_BATCH).bind(before).execute(c).await.map(|done| done.rows_affected()))?)
}

/// A recorded event without a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PendingEvent {
    /// Its place in the order of recording.
    pub(super) seq: i64,
    pub(super) id: String,
    pub(super) user_id: UserId,
    pub(super) subject: String,
    pub(super) envelope: String,
}

impl PendingEvent {
    pub(super) fn is_user_deleted(&self) -> bool {
        self.subject.rsplit_once('.').is_some_and(|(kind, _)| kind == USER_DELETED)
    }

    fn into_published(self, position: i64) -> PublishedEvent {
        PublishedEvent { position, subject: self.subject, user_id: self.user_id, envelope: self.envelope }
    }
}

type PendingRow = (i64, String, UserId, String);

/// Returns the events to publish next. It does not start after the last published one: an event that commits late has an earlier `seq`.
/// An event that cannot be decoded is refused, so that the others go on.
pub(super) async fn pending(db: &Database, limit: usize) -> Result<Vec<PendingEvent>, StoreError> {
    let rows: Vec<PendingRow> = {
        let mut reader = db.read_conn().await?;
        with_conn!(reader.connection(), c => sqlx::query_as(PENDING).bind(as_limit(limit)).fetch_all(c).await)?
    };
    let mut events = Vec::with_capacity(rows.len());
    for row in rows {
        let seq = row.0;
        match parse_row(row) {
            Some(event) => events.push(event),
            None => refuse(db, seq, "it is not an envelope of this version").await?,
        }
    }
    Ok(events)
}

/// Makes a pending event a dead letter: it stays in the outbox and is not published.
pub(super) async fn refuse(db: &Database, seq: i64, reason: &str) -> Result<(), StoreError> {
    let mut tx = db.begin().await?;
    with_conn!(tx.connection(), c => sqlx::query(REFUSE).bind(seq).bind(reason).execute(c).await.map(drop))?;
    tx.commit().await?;
    tracing::error!(seq, reason, "event cannot be published and became a dead letter; the other events go on");
    Ok(())
}

/// What the outbox knows of messages in the stream.
pub(super) struct KnownEvents {
    /// The events without a position, in the order of the messages.
    pub(super) pending: Vec<PendingEvent>,
    /// The last position of the others.
    pub(super) position: Option<i64>,
    /// How many messages at the end the outbox does not know.
    pub(super) unknown_at_end: usize,
}

/// Looks up the events with these ids.
pub(super) async fn known_among(db: &Database, ids: &[String]) -> Result<KnownEvents, StoreError> {
    let mut reader = db.read_conn().await?;
    let rows: Vec<(Option<i64>, i64, String, UserId, String)> = with_conn!(reader.connection(), c => {
        let mut query = QueryBuilder::new("SELECT position, seq, id, user_id, envelope FROM events WHERE id IN (");
        let mut list = query.separated(", ");
        for id in ids {
            list.push_bind(id.as_str());
        }
        query.push(")").build_query_as().fetch_all(c).await
    })?;
    let known: HashSet<&str> = rows.iter().map(|(_, _, id, ..)| id.as_str()).collect();
    let unknown_at_end = ids.iter().rev().take_while(|id| !known.contains(id.as_str())).count();
    let position = rows.iter().filter_map(|row| row.0).max();
    let pending = rows.into_iter().filter(|row| row.0.is_none());
    let mut pending: Vec<_> = pending.filter_map(|(_, seq, id, user, text)| parse_row((seq, id, user, text))).collect();
    pending.sort_by_key(|event| ids.iter().position(|id| *id == event.id));
    Ok(KnownEvents { pending, position, unknown_at_end })
}

fn parse_row((seq, id, user_id, envelope): PendingRow) -> Option<PendingEvent> {
    let subject = subject_of(&envelope, user_id)?;
    Some(PendingEvent { seq, id, user_id, subject, envelope })
}

/// Assigns positions in the given order, and returns the events as published. Events erased meanwhile are skipped and leave no gap.
///
/// *Requires* that the transaction holds the lease, so that one node at a time assigns positions. *Guarantees* that a later position has no
/// earlier time, also where the clock was set back or another node has taken over, but for an event whose time is over an hour ahead.
pub(super) async fn assign_positions(
    tx: &mut Tx,
    mut events: Vec<PendingEvent>,
    now: Timestamp,
) -> Result<Vec<PublishedEvent>, StoreError> {
    let last: Option<(i64, Timestamp)> =
        with_conn!(tx.connection(), c => sqlx::query_as(LAST_PUBLISHED).fetch_optional(c).await)?;
    let (last, now) = last.map_or((0, now), |(position, at)| (position, now.max(at.min(now + MAX_AHEAD))));
    let left = lock_pending(tx, &events).await?;
    events.retain(|event| left.contains(&event.seq));
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let placed: Vec<(i64, PendingEvent)> = (last + 1..).zip(events).collect();
    with_conn!(tx.connection(), c => assign_positions_sql(&placed, now).build().execute(c).await.map(drop))?;
    Ok(placed.into_iter().map(|(position, event)| event.into_published(position)).collect())
}

/// Locks those of these events that are still pending, in the order in which [`erase`] locks, and returns their `seq`. SQLite has one writer
/// at a time and needs no lock. The `+` keeps the planners from scanning the index of all pending events: they look up each row by its key.
async fn lock_pending(tx: &mut Tx, events: &[PendingEvent]) -> Result<HashSet<i64>, StoreError> {
    let end = if matches!(tx, Tx::Postgres(_)) { ") ORDER BY seq FOR UPDATE" } else { ")" };
    let rows: Vec<(i64,)> = with_conn!(tx.connection(), c => {
        let mut query = QueryBuilder::new("SELECT seq FROM events WHERE +position IS NULL AND seq IN (");
        let mut list = query.separated(", ");
        for event in events.iter().chain(padding(events)) {
            list.push_bind(event.seq);
        }
        query.push(end).build_query_as().fetch_all(c).await
    })?;
    Ok(rows.into_iter().map(|(seq,)| seq).collect())
}

/// `VALUES` names its columns `column1` and `column2` in both databases.
fn assign_positions_sql<DB: Backend>(placed: &[(i64, PendingEvent)], now: Timestamp) -> QueryBuilder<DB>
where
    for<'q> i64: Encode<'q, DB> + Type<DB>,
    for<'q> Timestamp: Encode<'q, DB> + Type<DB>,
{
    let mut query = QueryBuilder::new("UPDATE events SET position = assigned.column2, published_at = ");
    query.push_bind(now).push(" FROM (");
    query.push_values(placed.iter().chain(padding(placed)), |mut row, (position, event)| {
        row.push_bind(event.seq).push_bind(*position);
    });
    query.push(") AS assigned WHERE events.seq = assigned.column1");
    query
}

/// Repeats the last row up to the next power of two. A repeated row changes nothing, and a connection prepares few statements.
fn padding<T>(rows: &[T]) -> impl Iterator<Item = &T> {
    rows.last().into_iter().cycle().take(rows.len().next_power_of_two() - rows.len())
}

/// Returns the last position that was assigned, or 0.
pub(super) async fn last_position(db: &Database) -> Result<i64, StoreError> {
    let mut reader = db.read_conn().await?;
    let (last,): (i64,) = with_conn!(reader.connection(), c => sqlx::query_as(LAST_POSITION).fetch_one(c).await)?;
    Ok(last)
}

/// Returns the first and the last position that the outbox holds; 0 and 0 when it holds none.
pub(super) async fn kept_positions(db: &Database) -> Result<(i64, i64), StoreError> {
    let mut reader = db.read_conn().await?;
    Ok(with_conn!(reader.connection(), c => sqlx::query_as(KEPT_POSITIONS).fetch_one(c).await)?)
}

/// Returns the position after which every event was published at `since` or later. A binary search: about 20 look-ups for a million events,
/// without an index on the times.
pub(super) async fn position_at(db: &Database, since: Timestamp) -> Result<i64, StoreError> {
    let (first, last) = kept_positions(db).await?;
    let mut reader = db.read_conn().await?;
    // Every event up to `before` is earlier, and every one after `until` is not.
    let (mut before, mut until) = ((first - 1).max(0), last);
    while before < until {
        let middle = before + (until - before + 1) / 2;
        let found: Option<(i64, Timestamp)> = with_conn!(reader.connection(), c => sqlx::query_as(FIRST_FROM)
            .bind(middle).fetch_optional(c).await)?;
        match found {
            Some((position, at)) if at < since => before = position,
            _ => until = middle - 1,
        }
    }
    Ok(before)
}

/// A page of published events, in order.
pub(super) struct PublishedPage {
    pub(super) events: Vec<PublishedEvent>,
    /// The page was read up to here.
    pub(super) last: i64,
    /// Whether another page may follow. `events` does not tell: it lacks the events that cannot be decoded.
    pub(super) more: bool,
}

/// The last position that was reported as undecodable. Several feeds read the same events.
static REPORTED: AtomicI64 = AtomicI64::new(0);

/// Reads the events published after `position`, up to `limit`; those about `user`, or all. Positions are assigned under the lease, so none
/// appears late. Events that cannot be decoded are omitted.
pub(super) async fn published_after(
    db: &Database,
    position: i64,
    user: Option<UserId>,
    limit: usize,
) -> Result<PublishedPage, StoreError> {
    let mut reader = db.read_conn().await?;
    let rows: Vec<(i64, UserId, String)> = with_conn!(reader.connection(), c => {
        let sql = if user.is_some() { PUBLISHED_AFTER_ABOUT_USER } else { PUBLISHED_AFTER };
        let query = sqlx::query_as(sql).bind(position).bind(as_limit(limit));
        match user {
            Some(user) => query.bind(user).fetch_all(c).await,
            None => query.fetch_all(c).await,
        }
    })?;
    let (last, more) = (rows.last().map_or(position, |row| row.0), rows.len() == limit);
    Ok(PublishedPage { events: rows.into_iter().filter_map(decode).collect(), last, more })
}

fn decode((position, user_id, envelope): (i64, UserId, String)) -> Option<PublishedEvent> {
    let subject = subject_of(&envelope, user_id);
    if subject.is_none() && REPORTED.fetch_max(position, Ordering::Relaxed) < position {
        tracing::error!(position, "event in the outbox is not an envelope of this version; feeds omit it");
    }
    Some(PublishedEvent { position, subject: subject?, user_id, envelope })
}

/// The events that wait to be published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Backlog {
    /// How many, counted up to 10,000.
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
