//! Published events, by their positions.

use std::sync::atomic::{AtomicI64, Ordering};

use faceofmind_base::Timestamp;
use faceofmind_db::{Database, StoreError, with_conn};
use faceofmind_model::{
    UserId,
    event::{self, PublishedEvent},
};
use sqlx::FromRow;

use super::{as_limit, page_of_events, pending::first_position};

const KEPT_POSITIONS: &str = "SELECT coalesce((SELECT position - event_count + 1 FROM events WHERE position IS NOT NULL \
     ORDER BY position LIMIT 1), 0), coalesce((SELECT max(position) FROM events), 0)";
const LAST_POSITION: &str = "SELECT coalesce(max(position), 0) FROM events";
const AFTER: &str =
    page_of_events!("position, user_id, envelope, event_count", "position", "position > $2 AND envelope <> ''");
const AFTER_ABOUT_USER: &str =
    page_of_events!("position, user_id, envelope, event_count", "position", "position > $2 AND user_id = $3");
const FIRST_FROM: &str = "SELECT position, published_at FROM events WHERE position >= $1 ORDER BY position LIMIT 1";

/// Returns the last position that was assigned, or 0.
pub(in crate::outbox) async fn last_position(db: &Database) -> Result<i64, StoreError> {
    let mut reader = db.read_conn().await?;
    let (last,): (i64,) = with_conn!(reader.connection(), c => sqlx::query_as(LAST_POSITION).fetch_one(c).await)?;
    Ok(last)
}

/// Returns the first and the last position that the outbox holds; 0 and 0 when it holds none.
pub(in crate::outbox) async fn kept_positions(db: &Database) -> Result<(i64, i64), StoreError> {
    let mut reader = db.read_conn().await?;
    Ok(with_conn!(reader.connection(), c => sqlx::query_as(KEPT_POSITIONS).fetch_one(c).await)?)
}

/// Returns the position after which every event was published at `since` or later. A binary search: about 20 look-ups for a million events,
/// without an index on the times.
pub(in crate::outbox) async fn position_at(db: &Database, since: Timestamp) -> Result<i64, StoreError> {
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
pub(in crate::outbox) struct PublishedPage {
    pub(in crate::outbox) events: Vec<PublishedEvent>,
    /// The page was read up to here.
    pub(in crate::outbox) last: i64,
    /// Whether another page may follow. `events` does not tell: it lacks the events that cannot be decoded.
    pub(in crate::outbox) more: bool,
}

#[derive(FromRow)]
struct PublishedRow {
    position: i64,
    user_id: UserId,
    envelope: String,
    event_count: i32,
}

impl PublishedRow {
    /// Returns its events. Those that cannot be decoded are omitted.
    fn events(&self) -> impl Iterator<Item = PublishedEvent> {
        (first_position(self.position, self.event_count)..)
            .zip(self.envelope.lines())
            .filter_map(|(position, line)| decode(position, self.user_id, line))
    }
}

/// The last position that was reported as undecodable. Several feeds read the same events.
static REPORTED: AtomicI64 = AtomicI64::new(0);

fn decode(position: i64, user_id: UserId, envelope: &str) -> Option<PublishedEvent> {
    let subject = event::id_and_subject_of(envelope, user_id).map(|(_, subject)| subject);
    if subject.is_none() && REPORTED.fetch_max(position, Ordering::Relaxed) < position {
        tracing::error!(position, "event in the outbox is not an envelope of this version; feeds omit it");
    }
    Some(PublishedEvent { position, subject: subject?, user_id, envelope: envelope.to_owned() })
}

/// Reads the events published after `position`, `limit` or a few more; those about `user`, or all. Positions are assigned under the lease, so
/// none appears late. Events that cannot be decoded are omitted.
pub(in crate::outbox) async fn after(
    db: &Database,
    position: i64,
    user: Option<UserId>,
    limit: usize,
) -> Result<PublishedPage, StoreError> {
    let mut reader = db.read_conn().await?;
    let rows: Vec<PublishedRow> = with_conn!(reader.connection(), c => {
        let sql = if user.is_some() { AFTER_ABOUT_USER } else { AFTER };
        let query = sqlx::query_as(sql).bind(as_limit(limit)).bind(position);
        match user {
            Some(user) => query.bind(user).fetch_all(c).await,
            None => query.fetch_all(c).await,
        }
    })?;
    let last = rows.last().map_or(position, |row| row.position);
    let more = rows.iter().map(|row| i64::from(row.event_count)).sum::<i64>() >= as_limit(limit);
    // The first row may begin before the position that was asked for.
    let events = rows.iter().flat_map(PublishedRow::events).filter(|event| event.position > position).collect();
    Ok(PublishedPage { events, last, more })
}
