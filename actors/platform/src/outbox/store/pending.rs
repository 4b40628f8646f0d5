//! Rows of the outbox whose events have no positions yet: they are read to be published, refused, or given their positions.

use std::{collections::HashSet, time::Duration};

use faceofmind_base::Timestamp;
use faceofmind_db::{Database, StoreError, Tx, with_conn};
use faceofmind_model::{
    UserId,
    event::{self, PublishedEvent, USER_DELETED},
};
use sqlx::{AssertSqlSafe, Database as Backend, Encode, FromRow, QueryBuilder, Type};

use super::{MAX_ROWS_OF_STATEMENT, as_limit, page_of_events};

/// How far a clock that was ahead may keep later events ahead.
const MAX_AHEAD: Duration = Duration::from_secs(3600);

/// With `{further}` for further conditions.
const PENDING: &str =
    page_of_events!("seq, id, user_id, envelope, event_count", "seq", "position IS NULL AND refusal IS NULL{further}");
const PENDING_BY_KEY: &str = "SELECT seq, id, user_id, envelope, event_count FROM events \
     WHERE seq = $1 AND position IS NULL AND refusal IS NULL";
const REFUSE: &str = "UPDATE events SET refusal = $2 WHERE seq = $1 AND position IS NULL";
const LAST_PUBLISHED: &str =
    "SELECT position, published_at FROM events WHERE position IS NOT NULL ORDER BY position DESC LIMIT 1";

/// A row without a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::outbox) struct PendingRow {
    /// Its place in the order of recording.
    pub(in crate::outbox) seq: i64,
    /// The id of its first event.
    pub(in crate::outbox) id: String,
    pub(in crate::outbox) user_id: UserId,
    pub(in crate::outbox) events: Vec<PendingEvent>,
    /// How many of its events, from the first, the stream holds.
    pub(in crate::outbox) arrived: usize,
}

/// An event to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::outbox) struct PendingEvent {
    pub(in crate::outbox) id: String,
    pub(in crate::outbox) subject: String,
    pub(in crate::outbox) envelope: String,
}

impl PendingRow {
    pub(in crate::outbox) fn is_user_deleted(&self) -> bool {
        self.events.iter().any(|event| event.subject.rsplit_once('.').is_some_and(|(kind, _)| kind == USER_DELETED))
    }

    /// Whether the stream holds all of its events.
    pub(in crate::outbox) fn has_arrived(&self) -> bool {
        self.arrived == self.events.len()
    }

    /// Returns the events that are to be sent.
    pub(in crate::outbox) fn to_send(&self) -> &[PendingEvent] {
        &self.events[self.arrived..]
    }

    /// Returns the events with their positions. `last` is that of the last one.
    pub(super) fn into_published(self, last: i64) -> impl Iterator<Item = PublishedEvent> {
        let (first, user_id) = (first_position(last, as_limit(self.events.len())), self.user_id);
        (first..).zip(self.events).map(move |(position, PendingEvent { subject, envelope, .. })| PublishedEvent {
            position,
            subject,
            user_id,
            envelope,
        })
    }
}

/// Returns the position of the first of `count` events, of which the last one has the position `last`.
pub(super) fn first_position(last: i64, count: impl Into<i64>) -> i64 {
    last + 1 - count.into()
}

#[derive(FromRow)]
pub(super) struct StoredRow {
    pub(super) seq: i64,
    pub(super) id: String,
    pub(super) user_id: UserId,
    pub(super) envelope: String,
    pub(super) event_count: i32,
}

impl StoredRow {
    /// Returns None where one of the lines is not an envelope of this version.
    pub(super) fn parse(self) -> Option<PendingRow> {
        let Self { seq, id, user_id, envelope, event_count } = self;
        let events: Vec<_> = envelope.lines().map(|line| parse_event(line, user_id)).collect::<Option<_>>()?;
        let is_whole = usize::try_from(event_count).is_ok_and(|count| count == events.len());
        is_whole.then_some(PendingRow { seq, id, user_id, events, arrived: 0 })
    }
}

fn parse_event(envelope: &str, user_id: UserId) -> Option<PendingEvent> {
    let (id, subject) = event::id_and_subject_of(envelope, user_id)?;
    Some(PendingEvent { id, subject, envelope: envelope.to_owned() })
}

/// Which rows a page has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::outbox) enum Kinds {
    All,
    AllButUserDeleted,
}

/// Returns the rows to publish next, except those with a `seq` in `except`, with `limit` events or a few more. It does not start after the last
/// published one: a row that commits late has an earlier `seq`. A row that cannot be decoded is refused, so that the others go on.
pub(in crate::outbox) async fn page(
    db: &Database,
    limit: usize,
    except: &[i64],
    kinds: Kinds,
) -> Result<Vec<PendingRow>, StoreError> {
    let sql = AssertSqlSafe(page_sql(db, kinds));
    let rows: Vec<StoredRow> = {
        let mut reader = db.read_conn().await?;
        with_conn!(reader.connection(), c => sqlx::query_as(sql)
            .bind(as_limit(limit)).bind(format!("{except:?}")).fetch_all(c).await)?
    };
    let mut pending = Vec::with_capacity(rows.len());
    for row in rows {
        let seq = row.seq;
        match row.parse() {
            Some(row) => pending.push(row),
            None => refuse(db, seq, "it is not an envelope of this version").await?,
        }
    }
    Ok(pending)
}

/// The rows to leave out are one parameter, a list in JSON, so that the statement is always the same.
fn page_sql(db: &Database, kinds: Kinds) -> String {
    let except = match db {
        Database::Postgres(_) => "SELECT json_array_elements_text($2::json)::bigint",
        Database::Sqlite(..) => "SELECT value FROM json_each($2)",
    };
    let kinds = match kinds {
        Kinds::All => String::new(),
        Kinds::AllButUserDeleted => format!(" AND envelope NOT LIKE '%\"{USER_DELETED}\"%'"),
    };
    PENDING.replace("{further}", &format!(" AND seq NOT IN ({except}){kinds}"))
}

/// Returns the row with this `seq`, if it is still to be published.
pub(in crate::outbox) async fn row(db: &Database, seq: i64) -> Result<Option<PendingRow>, StoreError> {
    let mut reader = db.read_conn().await?;
    let row: Option<StoredRow> =
        with_conn!(reader.connection(), c => sqlx::query_as(PENDING_BY_KEY).bind(seq).fetch_optional(c).await)?;
    Ok(row.and_then(StoredRow::parse))
}

/// Makes a pending row a dead letter: it stays in the outbox and is not published.
pub(in crate::outbox) async fn refuse(db: &Database, seq: i64, reason: &str) -> Result<(), StoreError> {
    let mut tx = db.begin().await?;
    with_conn!(tx.connection(), c => sqlx::query(REFUSE).bind(seq).bind(reason).execute(c).await.map(drop))?;
    tx.commit().await?;
    tracing::error!(seq, reason, "row of the outbox cannot be published and became a dead letter; the others go on");
    Ok(())
}

/// Assigns positions in the given order, and returns the events as published. Rows erased meanwhile are skipped and leave no gap.
///
/// *Requires* that the transaction holds the lease, so that one node at a time assigns positions. *Guarantees* that a later position has no
/// earlier time, also where the clock was set back or another node has taken over, but for an event whose time is over an hour ahead.
pub(in crate::outbox) async fn assign_positions(
    tx: &mut Tx,
    mut rows: Vec<PendingRow>,
    now: Timestamp,
) -> Result<Vec<PublishedEvent>, StoreError> {
    let last: Option<(i64, Timestamp)> =
        with_conn!(tx.connection(), c => sqlx::query_as(LAST_PUBLISHED).fetch_optional(c).await)?;
    let (mut last, now) = last.map_or((0, now), |(position, at)| (position, now.max(at.min(now + MAX_AHEAD))));
    let mut published = Vec::new();
    while !rows.is_empty() {
        let later = rows.split_off(rows.len().min(MAX_ROWS_OF_STATEMENT));
        let left = lock_pending(tx, &rows).await?;
        rows.retain(|row| left.contains(&row.seq));
        let place = |row: PendingRow| {
            last += as_limit(row.events.len());
            (last, row)
        };
        let placed: Vec<(i64, PendingRow)> = std::mem::replace(&mut rows, later).into_iter().map(place).collect();
        if !placed.is_empty() {
            with_conn!(tx.connection(), c => assign_positions_sql(&placed, now).build().execute(c).await.map(drop))?;
        }
        published.extend(placed.into_iter().flat_map(|(position, row)| row.into_published(position)));
    }
    Ok(published)
}

/// Locks those of these rows that are still pending, in the order in which [`erase`](super::erase) locks, and returns their `seq`. SQLite has one
/// writer at a time and needs no lock. The `+` keeps the planners from scanning the index of all pending rows: they look up each by its key.
async fn lock_pending(tx: &mut Tx, rows: &[PendingRow]) -> Result<HashSet<i64>, StoreError> {
    let end = if matches!(tx, Tx::Postgres(_)) { ") ORDER BY seq FOR UPDATE" } else { ")" };
    let found: Vec<(i64,)> = with_conn!(tx.connection(), c => {
        let mut query = QueryBuilder::new("SELECT seq FROM events WHERE +position IS NULL AND seq IN (");
        let mut list = query.separated(", ");
        for row in rows.iter().chain(padding(rows)) {
            list.push_bind(row.seq);
        }
        query.push(end).build_query_as().fetch_all(c).await
    })?;
    Ok(found.into_iter().map(|(seq,)| seq).collect())
}

/// `VALUES` names its columns `column1` and `column2` in both databases.
fn assign_positions_sql<DB: Backend>(placed: &[(i64, PendingRow)], now: Timestamp) -> QueryBuilder<DB>
where
    for<'q> i64: Encode<'q, DB> + Type<DB>,
    for<'q> Timestamp: Encode<'q, DB> + Type<DB>,
{
    let mut query = QueryBuilder::new("UPDATE events SET position = assigned.column2, published_at = ");
    query.push_bind(now).push(" FROM (");
    query.push_values(placed.iter().chain(padding(placed)), |mut values, (position, row)| {
        values.push_bind(row.seq).push_bind(*position);
    });
    query.push(") AS assigned WHERE events.seq = assigned.column1");
    query
}

/// Repeats the last row up to the next power of two. A repeated row changes nothing, and a connection prepares few statements.
fn padding<T>(rows: &[T]) -> impl Iterator<Item = &T> {
    rows.last().into_iter().cycle().take(rows.len().next_power_of_two() - rows.len())
}
