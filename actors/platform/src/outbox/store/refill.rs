//! What a refill of the stream reads, and the gaps that it finds.

use std::collections::{HashMap, HashSet};

use faceofmind_base::Timestamp;
use faceofmind_db::{Database, StoreError, Tx, with_conn};
use faceofmind_model::{UserId, event::USER_DELETED};
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::{FromRow, QueryBuilder};

use super::{
    as_limit, page_of_events,
    pending::{PendingRow, StoredRow, first_position},
};
use crate::outbox::stream::MessageId;

const PUBLISHED_AFTER: &str = page_of_events!(
    "position, seq, id, user_id, envelope, event_count",
    "position",
    "position > $2 AND envelope <> ''"
);
const BY_ID: &str = "SELECT position, refusal, seq, id, user_id, envelope, event_count FROM events WHERE id IN (";
const FIRST_KEPT: &str =
    "SELECT position, event_count, published_at FROM events WHERE position > $1 ORDER BY position LIMIT 1";
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

/// What the outbox knows of messages in the stream.
pub(in crate::outbox) struct KnownRows {
    /// The rows without a position, in the order of the messages, with how many of their events are among the messages or before them.
    pub(in crate::outbox) pending: Vec<PendingRow>,
    /// The last position of the other messages.
    pub(in crate::outbox) position: Option<i64>,
    /// How many messages at the end the outbox does not know.
    pub(in crate::outbox) unknown_at_end: usize,
}

#[derive(FromRow)]
struct KnownRow {
    position: Option<i64>,
    refusal: Option<String>,
    #[sqlx(flatten)]
    stored: StoredRow,
}

/// Looks up the rows of these messages.
pub(in crate::outbox) async fn known_among(db: &Database, messages: &[MessageId]) -> Result<KnownRows, StoreError> {
    let rows = rows_of(db, messages).await?;
    let known: HashSet<&str> = rows.iter().map(|row| row.stored.id.as_str()).collect();
    // An earlier version may have given an event that shared a row a row of its own.
    let row_of =
        |message: &MessageId| known.get(message.event.as_str()).or_else(|| known.get(message.row.as_str())).copied();
    let unknown_at_end = messages.iter().rev().take_while(|message| row_of(message).is_none()).count();
    // The last message of each row, because the later ones replace the earlier ones.
    let last_of_row: HashMap<String, (usize, &MessageId)> = messages
        .iter()
        .enumerate()
        .filter_map(|(place, message)| Some((row_of(message)?.to_owned(), (place, message))))
        .collect();
    let (mut pending, mut position) = (Vec::new(), None);
    for KnownRow { position: last, refusal, stored } in rows {
        let Some(&(place, message)) = last_of_row.get(&stored.id) else { continue };
        let (count, row) = (i64::from(stored.event_count), stored.parse());
        let index = row.as_ref().and_then(|row| row.events.iter().position(|event| event.id == message.event));
        let arrived = index.map(|index| index + 1);
        if let Some(last) = last {
            // An erased row does not tell which of its messages this is.
            let arrived = arrived.map_or(count, as_limit);
            position = position.max(Some(last - count + arrived));
        } else if let (Some(row), Some(arrived)) = (row, arrived) {
            let row = PendingRow { arrived, ..row };
            // A dead letter is not continued.
            if row.has_arrived() || refusal.is_none() {
                pending.push((place, row));
            }
        }
    }
    pending.sort_by_key(|&(place, _)| place);
    Ok(KnownRows { pending: pending.into_iter().map(|(_, row)| row).collect(), position, unknown_at_end })
}

async fn rows_of(db: &Database, messages: &[MessageId]) -> Result<Vec<KnownRow>, StoreError> {
    let ids: HashSet<&str> =
        messages.iter().flat_map(|message| [message.event.as_str(), message.row.as_str()]).collect();
    let mut reader = db.read_conn().await?;
    Ok(with_conn!(reader.connection(), c => {
        let mut query = QueryBuilder::new(BY_ID);
        let mut list = query.separated(", ");
        for id in &ids {
            list.push_bind(*id);
        }
        query.push(")").build_query_as().fetch_all(c).await
    })?)
}

#[derive(FromRow)]
struct PublishedRow {
    position: i64,
    #[sqlx(flatten)]
    stored: StoredRow,
}

/// Returns rows with published events after `position`, and the position of the last one of each, in order: `limit` events or a few more. The
/// events of the first row that are not after `position` count as arrived.
pub(in crate::outbox) async fn page(
    db: &Database,
    position: i64,
    limit: usize,
) -> Result<Vec<(i64, PendingRow)>, StoreError> {
    let mut reader = db.read_conn().await?;
    let rows: Vec<PublishedRow> = with_conn!(reader.connection(), c =>
        sqlx::query_as(PUBLISHED_AFTER).bind(as_limit(limit)).bind(position).fetch_all(c).await)?;
    let after = |PublishedRow { position: last, stored }| {
        let row: PendingRow = stored.parse()?;
        let before = position + 1 - first_position(last, as_limit(row.events.len()));
        Some((last, PendingRow { arrived: usize::try_from(before).unwrap_or(0), ..row }))
    };
    Ok(rows.into_iter().filter_map(after).collect())
}

/// Returns the first position after `position` that the outbox holds, and when its event was published.
pub(in crate::outbox) async fn first_kept(
    db: &Database,
    position: i64,
) -> Result<Option<(i64, Timestamp)>, StoreError> {
    let mut reader = db.read_conn().await?;
    let row: Option<(i64, i32, Timestamp)> =
        with_conn!(reader.connection(), c => sqlx::query_as(FIRST_KEPT).bind(position).fetch_optional(c).await)?;
    Ok(row.map(|(last, count, at)| (first_position(last, count).max(position + 1), at)))
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
