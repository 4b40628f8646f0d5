//! Sends pending events to the stream. What was not acknowledged is found at the stream's end.

use std::collections::VecDeque;

use faceofmind_db::Database;
use tokio::time::Instant;

use super::{
    OutboxError, Settings,
    store::pending::{self, Kinds, PendingRow},
    stream::StreamWriter,
    stream_erasure::StreamErasure,
};

pub(super) struct StreamSender {
    db: Database,
    /// How many events a pass sends, or a few more.
    page: usize,
    /// None without NATS.
    pub(super) writer: Option<StreamWriter>,
    /// The rows that the stream holds in part: their `seq`, and how many of their events. They are sent first.
    pub(super) partial_rows: Vec<(i64, usize)>,
    pub(super) erasure: StreamErasure,
}

/// What a pass has sent.
#[derive(Default)]
pub(super) struct Sent {
    /// The rows of which the stream holds all events, in its order.
    pub(super) arrived: Vec<PendingRow>,
    /// Whether there is more to send at once.
    pub(super) more: bool,
}

impl StreamSender {
    pub(super) fn new(db: Database, settings: &Settings, writer: Option<StreamWriter>) -> Self {
        let page = settings.page();
        Self { db, page, writer, partial_rows: Vec::new(), erasure: StreamErasure::default() }
    }

    /// Sends the next page of pending rows, except those with a `seq` in `arrived`, and waits for the acknowledgements until `until`.
    ///
    /// A `user.deleted` goes out when its user is erased from the stream. Other events do not wait for that.
    pub(super) async fn send_page(&mut self, arrived: &[i64], until: Instant) -> Result<Sent, OutboxError> {
        let rows = pending::page(&self.db, self.page, arrived, Kinds::All).await?;
        let mut full = self.is_full(&rows);
        let Some(writer) = &self.writer else { return Ok(Sent { arrived: rows, more: full }) };
        let (mut deletions, mut rows) = partition(rows);
        if full && deletions.len() > 1 {
            rows = pending::page(&self.db, self.page, arrived, Kinds::AllButUserDeleted).await?;
            full = self.is_full(&rows);
        }
        self.put_partial_rows_first(&mut rows).await?;
        let is_erased = deletions.front().is_some_and(|row| self.erasure.is_erased(row.user_id, writer));
        if is_erased {
            rows.extend(deletions.pop_front());
        }
        self.send(rows, full || (is_erased && !deletions.is_empty()), until).await
    }

    fn is_full(&self, rows: &[PendingRow]) -> bool {
        rows.iter().map(|row| row.events.len()).sum::<usize>() >= self.page
    }

    /// Reads them again: they may have been erased.
    async fn put_partial_rows_first(&self, rows: &mut Vec<PendingRow>) -> Result<(), OutboxError> {
        for &(seq, arrived) in self.partial_rows.iter().rev() {
            rows.retain(|row| row.seq != seq);
            if let Some(row) = pending::row(&self.db, seq).await? {
                rows.insert(0, PendingRow { arrived, ..row });
            }
        }
        Ok(())
    }

    async fn send(&mut self, mut rows: Vec<PendingRow>, more: bool, until: Instant) -> Result<Sent, OutboxError> {
        let (Some(writer), false) = (&mut self.writer, rows.is_empty()) else {
            return Ok(Sent { arrived: rows, more });
        };
        self.partial_rows.clear();
        let sent = writer.publish(&rows, until).await;
        let first_left = split_arrived(&mut rows, sent.arrived);
        let Err(failure) = sent.outcome else {
            return Ok(Sent { arrived: rows, more: more || first_left.is_some() });
        };
        if let Some(seq) = first_left.filter(|_| failure.refused) {
            pending::refuse(&self.db, seq, &failure.error.to_string()).await?;
        } else if sent.arrived == 0 {
            return Err(failure.error);
        } else {
            let (error, arrived) = (failure.error, sent.arrived);
            tracing::info!(%error, arrived, "a part of the pending events was published; the rest is retried");
        }
        Ok(Sent { arrived: rows, more: true })
    }

    /// Forgets the stream's end and what follows from it.
    pub(super) fn forget_end(&mut self) {
        self.partial_rows.clear();
        self.erasure.expect_new_messages();
        if let Some(writer) = &mut self.writer {
            writer.forget_end();
        }
    }
}

/// Keeps the rows of which all events are among the first `arrived` ones that were sent. Returns the `seq` of the next row.
fn split_arrived(rows: &mut Vec<PendingRow>, arrived: usize) -> Option<i64> {
    let mut sent = 0;
    let ends = rows.iter().map(|row| {
        sent += row.to_send().len();
        sent
    });
    let whole = ends.take_while(|&end| end <= arrived).count();
    rows.split_off(whole).first().map(|row| row.seq)
}

/// Returns the rows of `user.deleted`, and the others.
fn partition(rows: Vec<PendingRow>) -> (VecDeque<PendingRow>, Vec<PendingRow>) {
    let (deletions, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(PendingRow::is_user_deleted);
    (deletions.into(), others)
}
