//! The outbox is the truth and the stream is a copy of it: what the stream lost is published again.
//!
//! *Why*: NATS acknowledges a message before it is on disk. After a power cut, a restored volume or a deleted stream, events that have
//! positions are missing. The relay compares the stream's end with the outbox whenever it does not know the end: when it becomes the leader,
//! at each new connection, and after a failure.
//!
//! *Guarantees*: events are published again in the order of their positions, with the same ids, before any later event. An older stream
//! holds events of users who were deleted since: they are erased from it before.

use std::{pin::pin, time::Duration};

use faceofmind_base::Timestamp;
use faceofmind_model::UserId;

use super::{
    OutboxError,
    relay::Relay,
    store::{
        pending::PendingRow,
        published,
        refill::{self, EventGap},
    },
    stream::BackwardReader,
    stream_erasure::StreamErasure,
};

/// A gap of events that the stream would drop within this time, because of their age, is not named.
const EXPIRY_MARGIN: Duration = Duration::from_secs(3600);

/// What the end of the stream shows.
pub(super) struct StreamEnd {
    /// The rows of which all events have arrived and have no position yet, in the stream's order.
    pub(super) arrived: Vec<PendingRow>,
    /// The rows of which a part has arrived: their `seq`, and how many of their events.
    pub(super) partial_rows: Vec<(i64, usize)>,
    /// The last position whose event the stream holds; 0 when it holds none.
    position: i64,
}

impl Relay {
    /// Reads the stream backwards, until a whole window shows no event without a position and one with a position was found: positions are
    /// assigned in the stream's order.
    pub(super) async fn read_end(&self, mut tail: BackwardReader) -> Result<StreamEnd, OutboxError> {
        let (mut rows, mut position, mut unknown_at_end, mut is_at_end) = (Vec::<PendingRow>::new(), None, 0, true);
        while !tail.is_at_start() {
            let messages = tail.read_backwards(self.settings.stream.window).await?;
            if messages.is_empty() {
                continue;
            }
            let mut known = refill::known_among(&self.db, &messages).await?;
            if is_at_end {
                unknown_at_end += known.unknown_at_end;
                is_at_end = known.unknown_at_end == messages.len();
            }
            position = position.max(known.position);
            if known.pending.is_empty() && position.is_some() {
                break;
            }
            // The later messages of a row were read before: they tell how many of its events have arrived.
            known.pending.retain(|row| rows.iter().all(|later| later.seq != row.seq));
            rows.splice(0..0, known.pending);
        }
        let (arrived, partial): (Vec<_>, Vec<_>) = rows.into_iter().partition(PendingRow::has_arrived);
        let partial_rows = partial.into_iter().map(|row| (row.seq, row.arrived)).collect();
        let end = StreamEnd { arrived, partial_rows, position: position.unwrap_or(0) };
        if unknown_at_end > 0 && !refill::has_deletions_to_publish(&self.db).await? {
            self.report_unknown(&end, unknown_at_end).await?;
        }
        Ok(end)
    }

    /// Stores and logs that the stream goes on after what the database knows. Its positions will be those of other events.
    async fn report_unknown(&self, end: &StreamEnd, messages: usize) -> Result<(), OutboxError> {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let whole = end.arrived.iter().map(|row| row.arrived).sum::<usize>();
        let in_part = end.partial_rows.iter().map(|&(_, arrived)| arrived).sum::<usize>();
        let last_known = end.position.saturating_add(number(whole + in_part));
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
        let oldest = published::position_at(&self.db, since - EXPIRY_MARGIN).await?;
        let mut position = end.position.max(oldest);
        let mut refilled = 0;
        loop {
            let page = refill::page(&self.db, position, self.settings.stream.window).await?;
            let Some(&(last, _)) = page.last() else { break };
            if refilled == 0 {
                // The stream may be an older one, in which a user who was erased is still present.
                self.sender.erasure = StreamErasure::default();
                self.report_gap(end.position, since).await?;
                self.erase_deleted_users().await?;
            }
            let rows: Vec<_> = page.into_iter().map(|(_, row)| row).collect();
            refilled += rows.iter().map(|row| row.to_send().len()).sum::<usize>();
            self.publish_again(rows).await?;
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

    async fn publish_again(&mut self, rows: Vec<PendingRow>) -> Result<(), OutboxError> {
        self.require_leadership().await?;
        let (Some(writer), Some(until)) = (&mut self.sender.writer, self.leadership.until) else { return Ok(()) };
        writer.publish(&rows, until).await.outcome.map_err(|failure| failure.error)
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
            self.erase_from_stream(user).await?;
        }
        Ok(())
    }

    /// Erases a user from the stream, however long it takes, and renews the lease meanwhile.
    async fn erase_from_stream(&mut self, user: UserId) -> Result<(), OutboxError> {
        let Some(writer) = &self.sender.writer else { return Ok(()) };
        let last = writer.last_sequence().unwrap_or(0);
        let mut erasing = pin!(writer.erase(user, 1..=last));
        loop {
            tokio::select! {
                erased = &mut erasing => return erased.map(drop),
                () = tokio::time::sleep(self.settings.lease / 4) => self.require_leadership().await?,
            }
        }
    }
}
