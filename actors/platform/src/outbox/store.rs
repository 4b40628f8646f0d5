//! The outbox: events are written here in the transaction of the change they tell of, and read from here to be published.

use std::{collections::HashSet, sync::LazyLock};

use faceofmind_base::Timestamp;
use faceofmind_db::{BulkStatement, Connection, Database, MAX_ROWS, Tx, pad_with_nulls, with_conn};
use faceofmind_runtime::legacy::Failure;
use serde::Serialize;
use sqlx::{Database as Backend, Encode, QueryBuilder, Type};

use faceofmind_model::event::{CloudEvent, PublishedEvent, USER_DELETED, subject_of};
use faceofmind_model::user::UserId;

static RECORD: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "INSERT INTO events (id, aggregate, user_id, envelope, recorded_at) \
               SELECT column1, column2, column3, column4, column5 FROM (VALUES {rows}) AS told WHERE column1 IS NOT NULL";
    BulkStatement::new(sql, 1, 5)
});
/// Rows that one DELETE of a sweep takes at most, so that it holds up nobody.
const SWEPT_AT_ONCE: i64 = 1000;

const UNPUBLISHED: &str = "SELECT seq, id, user_id, envelope FROM events WHERE position IS NULL ORDER BY seq LIMIT $1";
const KEPT_POSITIONS: &str = "SELECT coalesce(min(position), 0), coalesce(max(position), 0) FROM events";
const LAST_POSITION: &str = "SELECT coalesce(max(position), 0) FROM events";
const PUBLISHED_AFTER: &str = "SELECT position, user_id, envelope FROM events \
     WHERE position > $1 AND envelope <> '' ORDER BY position LIMIT $2";
const PUBLISHED_AFTER_OF: &str = "SELECT position, user_id, envelope FROM events \
     WHERE position > $1 AND user_id = $3 ORDER BY position LIMIT $2";
const PUBLISHED_SINCE: &str = "SELECT coalesce(min(position) - 1, (SELECT coalesce(max(position), 0) FROM events)) \
     FROM events WHERE published_at >= $1";
const BACKLOG: &str = "SELECT count(*), min(recorded_at) FROM \
     (SELECT recorded_at FROM events WHERE position IS NULL ORDER BY seq LIMIT $1) AS waiting";
const LOCK: &str = "SELECT seq FROM events WHERE user_id = $1 ORDER BY seq FOR UPDATE";
const FORGET_UNPUBLISHED: &str = "DELETE FROM events WHERE user_id = $1 AND position IS NULL";
const BLANK: &str = "UPDATE events SET user_id = 0, aggregate = '', envelope = '' WHERE user_id = $1";
/// The last position stays, or it would be given twice.
const SWEEP: &str = "DELETE FROM events WHERE seq IN \
     (SELECT seq FROM events WHERE position IS NOT NULL ORDER BY position LIMIT $1) \
     AND published_at < $2 AND position < (SELECT max(position) FROM events)";

/// Records an event in the transaction of the change that it tells of. The change has locked or written its aggregate's row before,
/// so that the events of one aggregate are recorded in the order in which they happened. Wake the publisher after the commit.
///
/// # Errors
/// [`Failure::Store`]; the transaction is then to be rolled back.
pub async fn record(tx: &mut Tx, event: &CloudEvent) -> Result<(), Failure> {
    record_many(tx, std::slice::from_ref(event)).await
}

/// Records the events of a batch, in their order, up to [`MAX_ROWS`] in one statement.
///
/// # Errors
/// As [`record`].
pub async fn record_many(tx: &mut Tx, events: &[CloudEvent]) -> Result<(), Failure> {
    for some in events.chunks(MAX_ROWS) {
        with_conn!(tx.connection(), c => {
            let mut query = sqlx::query(RECORD.sql(some.len()));
            for event in pad_with_nulls(some.iter()) {
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

/// Takes a user out of the outbox, in the transaction that erases them: what is not published never will be, and of what is, only
/// the position stays. Record `user.deleted` after this.
///
/// # Errors
/// [`Failure::Store`].
pub async fn erase(tx: &mut Tx, user: UserId) -> Result<(), Failure> {
    if let Connection::Postgres(c) = tx.connection() {
        sqlx::query(LOCK).bind(user).execute(c).await?;
    }
    with_conn!(tx.connection(), c => sqlx::query(FORGET_UNPUBLISHED).bind(user).execute(c).await.map(drop))?;
    Ok(with_conn!(tx.connection(), c => sqlx::query(BLANK).bind(user).execute(c).await.map(drop))?)
}

/// Removes events published before `before`, oldest first, and says how many.
///
/// # Errors
/// [`Failure::Store`]; what was removed until then stays so.
pub async fn sweep(db: &Database, before: Timestamp) -> Result<u64, Failure> {
    let mut removed = 0;
    loop {
        let mut tx = db.begin().await?;
        let now: u64 = with_conn!(tx.connection(), c => sqlx::query(SWEEP)
            .bind(SWEPT_AT_ONCE).bind(before).execute(c).await.map(|done| done.rows_affected()))?;
        tx.commit().await?;
        removed += now;
        if now < SWEPT_AT_ONCE.unsigned_abs() {
            return Ok(removed);
        }
    }
}

/// An event that is not published yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unpublished {
    /// Its place in the outbox, in the order of recording.
    pub(super) seq: i64,
    pub(super) id: String,
    pub(super) user_id: UserId,
    pub(super) subject: String,
    pub(super) envelope: String,
}

impl Unpublished {
    /// Whether it says that its user is gone. Nothing of theirs is told after it, nor in one reading with it.
    pub(super) fn is_farewell(&self) -> bool {
        self.subject.rsplit_once('.').is_some_and(|(kind, _)| kind == USER_DELETED)
    }

    pub(super) fn published(self, position: i64) -> PublishedEvent {
        PublishedEvent { position, subject: self.subject, user_id: self.user_id, envelope: self.envelope }
    }
}

type UnpublishedRow = (i64, String, UserId, String);

/// What is to be published next. Not "all after the last": what commits late has an earlier number.
pub(super) async fn unpublished(db: &Database, limit: usize) -> Result<Vec<Unpublished>, Failure> {
    let mut reader = db.read_conn().await?;
    let rows: Vec<UnpublishedRow> = with_conn!(reader.connection(), c =>
        sqlx::query_as(UNPUBLISHED).bind(bounded(limit)).fetch_all(c).await)?;
    rows.into_iter().map(readable).collect()
}

/// Those of these ids that are not published yet, in no order.
pub(super) async fn unpublished_among(db: &Database, ids: &[String]) -> Result<Vec<Unpublished>, Failure> {
    let mut reader = db.read_conn().await?;
    let rows: Vec<UnpublishedRow> = with_conn!(reader.connection(), c => {
        let mut query = QueryBuilder::new("SELECT seq, id, user_id, envelope FROM events WHERE position IS NULL AND id IN (");
        let mut listed = query.separated(", ");
        for id in ids {
            listed.push_bind(id.as_str());
        }
        query.push(")").build_query_as().fetch_all(c).await
    })?;
    rows.into_iter().map(readable).collect()
}

fn readable((seq, id, user_id, envelope): UnpublishedRow) -> Result<Unpublished, Failure> {
    let subject = subject_of(&envelope, user_id).ok_or_else(|| Failure::Dependency {
        service: "outbox",
        reason: format!("event {id} is not one that this version wrote"),
    })?;
    Ok(Unpublished { seq, id, user_id, subject, envelope })
}

/// Gives each its position, in the order given, and returns what thereby became published. What was erased meanwhile is left out, and
/// leaves no hole. The caller's transaction holds the lease, so that positions are given by one alone.
pub(super) async fn mark(
    tx: &mut Tx,
    mut events: Vec<Unpublished>,
    now: Timestamp,
) -> Result<Vec<PublishedEvent>, Failure> {
    let (last,): (i64,) = with_conn!(tx.connection(), c => sqlx::query_as(LAST_POSITION).fetch_one(c).await)?;
    let left = lock_unpublished(tx, &events).await?;
    events.retain(|event| left.contains(&event.seq));
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let placed: Vec<(i64, Unpublished)> = (last + 1..).zip(events).collect();
    with_conn!(tx.connection(), c => marking(&placed, now).build().execute(c).await.map(drop))?;
    Ok(placed.into_iter().map(|(position, event)| event.published(position)).collect())
}

/// Which of these are there and still unpublished, locked in the order in which [`erase`] locks. SQLite has one writer, who is us.
/// The `+` keeps the planners from walking the index of all that is unpublished, and has them look each row up by its key.
async fn lock_unpublished(tx: &mut Tx, events: &[Unpublished]) -> Result<HashSet<i64>, Failure> {
    let end = if matches!(tx, Tx::Postgres(_)) { ") ORDER BY seq FOR UPDATE" } else { ")" };
    let rows: Vec<(i64,)> = with_conn!(tx.connection(), c => {
        let mut query = QueryBuilder::new("SELECT seq FROM events WHERE +position IS NULL AND seq IN (");
        let mut listed = query.separated(", ");
        for event in events.iter().chain(padding(events)) {
            listed.push_bind(event.seq);
        }
        query.push(end).build_query_as().fetch_all(c).await
    })?;
    Ok(rows.into_iter().map(|(seq,)| seq).collect())
}

/// `VALUES` names its columns `column1` and `column2` in both databases.
fn marking<DB: Backend>(placed: &[(i64, Unpublished)], now: Timestamp) -> QueryBuilder<DB>
where
    for<'q> i64: Encode<'q, DB> + Type<DB>,
    for<'q> Timestamp: Encode<'q, DB> + Type<DB>,
{
    let mut query = QueryBuilder::new("UPDATE events SET position = given.column2, published_at = ");
    query.push_bind(now).push(" FROM (");
    query.push_values(placed.iter().chain(padding(placed)), |mut row, (position, event)| {
        row.push_bind(event.seq).push_bind(*position);
    });
    query.push(") AS given WHERE events.seq = given.column1");
    query
}

/// The last of these as often as a power of two lacks, which changes nothing, so that there are few statement texts to prepare.
fn padding<T>(rows: &[T]) -> impl Iterator<Item = &T> {
    rows.last().into_iter().cycle().take(rows.len().next_power_of_two() - rows.len())
}

/// The last position that was given, or 0.
pub(super) async fn last_position(db: &Database) -> Result<i64, Failure> {
    let mut reader = db.read_conn().await?;
    let (last,): (i64,) = with_conn!(reader.connection(), c => sqlx::query_as(LAST_POSITION).fetch_one(c).await)?;
    Ok(last)
}

/// The first and the last position that the outbox still holds; 0 and 0 when it holds none.
pub(super) async fn kept_positions(db: &Database) -> Result<(i64, i64), Failure> {
    let mut reader = db.read_conn().await?;
    Ok(with_conn!(reader.connection(), c => sqlx::query_as(KEPT_POSITIONS).fetch_one(c).await)?)
}

/// The position after which everything was published at `since` or later.
pub(super) async fn position_at(db: &Database, since: Timestamp) -> Result<i64, Failure> {
    let mut reader = db.read_conn().await?;
    let (position,): (i64,) = with_conn!(reader.connection(), c =>
        sqlx::query_as(PUBLISHED_SINCE).bind(since).fetch_one(c).await)?;
    Ok(position)
}

/// What was published after `position`, in order; all of it, or what is about one user. Positions are given under the lease, so none
/// appears late.
pub(super) async fn published_after(
    db: &Database,
    position: i64,
    of: Option<UserId>,
    limit: usize,
) -> Result<Vec<PublishedEvent>, Failure> {
    let mut reader = db.read_conn().await?;
    let rows: Vec<(i64, UserId, String)> = with_conn!(reader.connection(), c => {
        let sql = if of.is_some() { PUBLISHED_AFTER_OF } else { PUBLISHED_AFTER };
        let query = sqlx::query_as(sql).bind(position).bind(bounded(limit));
        match of {
            Some(user) => query.bind(user).fetch_all(c).await,
            None => query.fetch_all(c).await,
        }
    })?;
    let published = |(position, user_id, envelope): (i64, UserId, String)| {
        subject_of(&envelope, user_id).map(|subject| PublishedEvent { position, subject, user_id, envelope })
    };
    Ok(rows.into_iter().filter_map(published).collect())
}

/// What waits to be published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Backlog {
    /// How many, counted up to [`Backlog::COUNTED`].
    pub(super) events: i64,
    /// When the one that has waited longest was recorded.
    pub(super) oldest: Option<Timestamp>,
}

impl Backlog {
    /// Beyond this the exact number is worth no more work.
    pub(super) const COUNTED: i64 = 10_000;
}

pub(super) async fn backlog(db: &Database) -> Result<Backlog, Failure> {
    let mut reader = db.read_conn().await?;
    let (events, oldest) = with_conn!(reader.connection(), c =>
        sqlx::query_as(BACKLOG).bind(Backlog::COUNTED).fetch_one(c).await)?;
    Ok(Backlog { events, oldest })
}

fn bounded(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
