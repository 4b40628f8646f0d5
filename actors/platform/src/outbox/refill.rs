//! The outbox is the truth and the stream is a copy of it: what the stream lost is published again.
//!
//! *Why*: NATS acknowledges a message before it is on disk. After a power cut, a restored volume or a deleted stream, events that have
//! positions are missing. The relay compares the stream's end with the outbox whenever it does not know the end: when it becomes the leader,
//! at each new connection, and after a failure.
//!
//! *Guarantees*: events are published again in the order of their positions, with the same ids, before any later event. An older stream
//! holds events of users who were deleted since: they are erased from it before.

use std::time::Duration;

use faceofmind_base::Timestamp;

use super::{
    OutboxError,
    relay::Relay,
    store::{
        self, PendingEvent,
        refill::{self, EventGap},
    },
    stream::BackwardReader,
};

/// A gap of events that the stream would drop within this time, because of their age, is not named.
const EXPIRY_MARGIN: Duration = Duration::from_secs(3600);

/// What the end of the stream shows.
pub(super) struct StreamEnd {
    /// The events that have arrived and have no position yet, in the stream's order.
    pub(super) arrived: Vec<PendingEvent>,
    /// The last position whose event the stream holds; 0 when it holds none.
    position: i64,
}

impl Relay {
    /// Reads the stream backwards, until a whole window shows no event without a position and one with a position was found: positions are
    /// assigned in the stream's order, a window at a time.
    pub(super) async fn read_end(&self, mut tail: BackwardReader) -> Result<StreamEnd, OutboxError> {
        let (mut arrived, mut position, mut unknown_at_end, mut is_at_end) = (Vec::new(), None, 0, true);
        while !tail.is_at_start() {
            let ids = tail.read_backwards(self.settings.stream.window).await?;
            if ids.is_empty() {
                continue;
            }
            let known = store::known_among(&self.db, &ids).await?;
            if is_at_end {
                unknown_at_end += known.unknown_at_end;
                is_at_end = known.unknown_at_end == ids.len();
            }
            position = position.max(known.position);
            if known.pending.is_empty() && position.is_some() {
                break;
            }
            arrived.splice(0..0, known.pending);
        }
        let end = StreamEnd { arrived, position: position.unwrap_or(0) };
        if unknown_at_end > 0 && !refill::has_deletions_to_publish(&self.db).await? {
            self.report_unknown(&end, unknown_at_end).await?;
        }
        Ok(end)
    }

    /// Stores and logs that the stream goes on after what the database knows. Its positions will be those of other events.
    async fn report_unknown(&self, end: &StreamEnd, messages: usize) -> Result<(), OutboxError> {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let last_known = end.position.saturating_add(number(end.arrived.len()));
        let what = "the stream's last messages are unknown to the database; either it was restored to an earlier time, and consumers have seen \
            events that it does not know, or another client publishes to the stream";
        self.add_gap(last_known + 1, last_known.saturating_add(number(messages)), what).await
    }

    /// Publishes again the events that the outbox holds and the stream has lost.
    ///
    /// # Errors
    /// The database or NATS failed. The next pass finds the stream's new end and goes on from there.
    pub(super) async fn refill(&mut self, end: &StreamEnd) -> Result<(), OutboxError> {
        let max_age = self.settings.stream.max_age;
        let since = self.clock.now() - max_age.saturating_sub(EXPIRY_MARGIN);
        // Earlier versions may have dated some events out of their order.
        let oldest = store::position_at(&self.db, since - EXPIRY_MARGIN).await?;
        let mut position = end.position.max(oldest);
        let mut refilled = 0;
        loop {
            let page = refill::page(&self.db, position, self.settings.stream.window).await?;
            let Some(&(last, _)) = page.last() else { break };
            if refilled == 0 {
                self.report_gap(end.position, since).await?;
                self.erase_deleted_users().await?;
            }
            refilled += page.len();
            self.publish_again(page.into_iter().map(|(_, event)| event).collect()).await?;
            position = last;
        }
        if refilled > 0 {
            tracing::warn!(
                events = refilled,
                after = end.position,
                "the stream had lost events; they were published again"
            );
        }
        Ok(())
    }

    async fn publish_again(&mut self, events: Vec<PendingEvent>) -> Result<(), OutboxError> {
        self.require_leadership().await?;
        let (Some(writer), Some(until)) = (&mut self.writer, self.leader_until) else { return Ok(()) };
        writer.publish(&events, until).await.outcome.map_err(|failure| failure.error)
    }

    /// Stores and logs the positions after `position` that the outbox no longer holds, unless the stream would have dropped them too.
    async fn report_gap(&self, position: i64, since: Timestamp) -> Result<(), OutboxError> {
        let Some((kept, published_at)) = refill::first_kept(&self.db, position).await? else { return Ok(()) };
        if kept > position + 1 && published_at > since {
            let what =
                "the stream has lost events that the outbox no longer holds; consumers must read again what they hold";
            self.add_gap(position + 1, kept - 1, what).await?;
        }
        Ok(())
    }

    /// Stores a gap, and logs what it is.
    async fn add_gap(&self, first_position: i64, last_position: i64, what: &str) -> Result<(), OutboxError> {
        refill::add_gap(&self.db, EventGap { first_position, last_position, found_at: self.clock.now() }).await?;
        tracing::error!(first_position, last_position, "{what}. `faceofmind events accept-gaps` accepts that");
        Ok(())
    }

    async fn erase_deleted_users(&mut self) -> Result<(), OutboxError> {
        for user in refill::deleted_users(&self.db).await? {
            while !self.erase_portion(user).await? {
                self.require_leadership().await?;
            }
        }
        Ok(())
    }
}
