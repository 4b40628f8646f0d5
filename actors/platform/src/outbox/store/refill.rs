//! What a refill of the stream reads, and the gaps that it finds.

use faceofmind_base::Timestamp;
use faceofmind_db::{Database, StoreError, Tx, with_conn};
use faceofmind_model::{UserId, event::USER_DELETED};
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::FromRow;

use super::{PendingEvent, as_limit, parse_row};

const PUBLISHED_AFTER: &str = "SELECT position, seq, id, user_id, envelope FROM events \
     WHERE position > $1 AND envelope <> '' ORDER BY position LIMIT $2";
const FIRST_KEPT: &str = "SELECT position, published_at FROM events WHERE position > $1 ORDER BY position LIMIT 1";
const DELETED_USERS: &str = "SELECT user_id FROM events WHERE position IS NOT NULL AND envelope LIKE $1";
const ADD_GAP: &str = "INSERT INTO event_gaps (first_position, last_position, found_at) VALUES ($1, $2, $3) \
     ON CONFLICT (first_position) DO NOTHING";
const GAPS: &str = "SELECT first_position, last_position, found_at FROM event_gaps WHERE last_position >= first_position \
     ORDER BY first_position LIMIT 10";
const SWEEP_GAPS: &str = "DELETE FROM event_gaps WHERE found_at < $1";
/// An accepted gap stays for its time as an empty one, so that the next comparison does not find it again.
const ACCEPT_GAPS: &str =
    "UPDATE event_gaps SET last_position = first_position - 1 WHERE last_position >= first_position";
const DELETIONS_TO_PUBLISH: &str =
    "SELECT count(*) FROM (SELECT 1 FROM events WHERE position IS NULL AND envelope LIKE $1 LIMIT 1) AS pending";

/// Positions of events that the stream lost and that the outbox no longer held, so that no consumer can read them; or of events at the stream's
/// end that the database did not know, because it had been restored to an earlier time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow, Serialize, JsonSchema)]
pub struct EventGap {
    pub first_position: i64,
    pub last_position: i64,
    pub found_at: Timestamp,
}

/// Returns published events after `position`, with their positions, in order.
pub(in crate::outbox) async fn page(
    db: &Database,
    position: i64,
    limit: usize,
) -> Result<Vec<(i64, PendingEvent)>, StoreError> {
    let mut reader = db.read_conn().await?;
    let rows: Vec<(i64, i64, String, UserId, String)> = with_conn!(reader.connection(), c =>
        sqlx::query_as(PUBLISHED_AFTER).bind(position).bind(as_limit(limit)).fetch_all(c).await)?;
    let event = |(position, seq, id, user, text)| Some((position, parse_row((seq, id, user, text))?));
    Ok(rows.into_iter().filter_map(event).collect())
}

/// Returns the first position after `position` that the outbox holds, and when its event was published.
pub(in crate::outbox) async fn first_kept(
    db: &Database,
    position: i64,
) -> Result<Option<(i64, Timestamp)>, StoreError> {
    let mut reader = db.read_conn().await?;
    Ok(with_conn!(reader.connection(), c => sqlx::query_as(FIRST_KEPT).bind(position).fetch_optional(c).await)?)
}

/// Returns the users whose published `user.deleted` the outbox holds.
pub(in crate::outbox) async fn deleted_users(db: &Database) -> Result<Vec<UserId>, StoreError> {
    let mut reader = db.read_conn().await?;
    let users: Vec<(UserId,)> = with_conn!(reader.connection(), c =>
        sqlx::query_as(DELETED_USERS).bind(format!("%\"{USER_DELETED}\"%")).fetch_all(c).await)?;
    Ok(users.into_iter().map(|(user,)| user).collect())
}

/// Whether a `user.deleted` waits to be published. Messages of that user, whose rows are deleted, are still to be erased from the stream.
pub(in crate::outbox) async fn has_deletions_to_publish(db: &Database) -> Result<bool, StoreError> {
    let mut reader = db.read_conn().await?;
    let (pending,): (i64,) = with_conn!(reader.connection(), c =>
        sqlx::query_as(DELETIONS_TO_PUBLISH).bind(format!("%\"{USER_DELETED}\"%")).fetch_one(c).await)?;
    Ok(pending > 0)
}

/// Stores a gap, once.
pub(in crate::outbox) async fn add_gap(db: &Database, gap: EventGap) -> Result<(), StoreError> {
    let mut tx = db.begin().await?;
    with_conn!(tx.connection(), c => sqlx::query(ADD_GAP)
        .bind(gap.first_position).bind(gap.last_position).bind(gap.found_at).execute(c).await.map(drop))?;
    tx.commit().await
}

/// Returns the first ten gaps.
pub(in crate::outbox) async fn gaps(db: &Database) -> Result<Vec<EventGap>, StoreError> {
    let mut reader = db.read_conn().await?;
    Ok(with_conn!(reader.connection(), c => sqlx::query_as(GAPS).fetch_all(c).await)?)
}

/// Forgets the gaps found before `before`: the stream would no longer hold their events.
pub(in crate::outbox) async fn sweep_gaps(tx: &mut Tx, before: Timestamp) -> Result<(), StoreError> {
    Ok(with_conn!(tx.connection(), c => sqlx::query(SWEEP_GAPS).bind(before).execute(c).await.map(drop))?)
}

/// Ends all gaps, and returns their number. An operator accepts so that these events are lost.
///
/// # Errors
/// [`StoreError`].
pub async fn accept_gaps(db: &Database) -> Result<u64, StoreError> {
    let mut tx = db.begin().await?;
    let accepted =
        with_conn!(tx.connection(), c => sqlx::query(ACCEPT_GAPS).execute(c).await.map(|done| done.rows_affected()))?;
    tx.commit().await?;
    Ok(accepted)
}
