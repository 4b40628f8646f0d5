//! Sends pending events to the stream. What was not acknowledged is found at the stream's end.

use std::future;

use faceofmind_db::Database;
use faceofmind_model::UserId;
use tokio::{task::JoinSet, time::Instant};

use super::{
    OutboxError, Settings,
    store::pending::{self, PendingRow},
    stream::{StreamWriter, nats_error},
};

/// How many windows of messages a pass sends. What a pass costs is shared by all of its events.
const WINDOWS: usize = 4;

pub(super) struct StreamSender {
    db: Database,
    /// How many events a pass sends, or a few more.
    page: usize,
    /// None without NATS.
    pub(super) writer: Option<StreamWriter>,
    /// Of which rows the stream holds a part: their `seq`, and how many of their events. They are sent first.
    pub(super) begun: Vec<(i64, usize)>,
    pub(super) erasure: StreamErasure,
}

/// What a pass has sent.
pub(super) struct Sent {
    /// The rows of which the stream holds all events, in its order.
    pub(super) arrived: Vec<PendingRow>,
    /// Whether there is more to send at once.
    pub(super) more: bool,
}

impl StreamSender {
    pub(super) fn new(db: Database, settings: &Settings, writer: Option<StreamWriter>) -> Self {
        let page = settings.stream.window * WINDOWS;
        Self { db, page, writer, begun: Vec::new(), erasure: StreamErasure::default() }
    }

    /// Sends the next page of pending rows, but for those with a `seq` in `arrived`, and waits for the acknowledgements, at most `until` then.
    pub(super) async fn send_page(&mut self, arrived: &[i64], until: Instant) -> Result<Sent, OutboxError> {
        let mut rows = pending::page(&self.db, self.page, arrived).await?;
        let full = rows.iter().map(|row| row.events.len()).sum::<usize>() >= self.page;
        let Some(writer) = &self.writer else { return Ok(Sent { arrived: rows, more: full }) };
        let deleted = rows.first().filter(|row| row.is_user_deleted()).map(|row| row.user_id);
        if let Some(user) = deleted
            && !self.erasure.is_done(user, writer)
        {
            // The events of others need not wait for that.
            rows.retain(|row| !row.is_user_deleted());
        }
        let cut = split_at_user_deleted(&mut rows);
        self.put_begun_first(&mut rows).await?;
        self.send(rows, full || cut, until).await
    }

    /// Rows are erased meanwhile, so they are read again.
    async fn put_begun_first(&self, rows: &mut Vec<PendingRow>) -> Result<(), OutboxError> {
        for &(seq, arrived) in self.begun.iter().rev() {
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
        self.begun.clear();
        let sent = writer.publish(&rows, until).await;
        let first_left = split_arrived(&mut rows, sent.arrived);
        let Err(failure) = sent.outcome else { return Ok(Sent { arrived: rows, more }) };
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

    /// Forgets the stream's end and all that follows from it.
    pub(super) fn forget_end(&mut self) {
        self.begun.clear();
        self.erasure = StreamErasure::default();
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

/// Keeps the rows before the first `user.deleted`; if that is the first of all, the rows before the second one. Returns whether any
/// were cut off. *Why*: the user is erased from the stream before `user.deleted` is published, and other events need not wait for that.
fn split_at_user_deleted(rows: &mut Vec<PendingRow>) -> bool {
    let next = rows.iter().skip(1).position(PendingRow::is_user_deleted);
    rows.truncate(next.map_or(usize::MAX, |after_first| after_first + 1));
    next.is_some()
}

/// The erasure of a deleted user from the stream, while events of others are published.
#[derive(Default)]
pub(super) struct StreamErasure {
    /// Whose erasure has begun.
    user: Option<UserId>,
    /// Its task, until [`StreamErasure::ended`] has seen its end.
    task: JoinSet<Result<u64, OutboxError>>,
}

impl StreamErasure {
    /// Whether no message of this user is left in the stream. Begins to erase them, unless that has begun.
    fn is_done(&mut self, user: UserId, writer: &StreamWriter) -> bool {
        if self.user == Some(user) {
            return !self.is_running();
        }
        *self = Self { user: Some(user), task: JoinSet::new() };
        self.task.spawn(writer.erase(user));
        false
    }

    pub(super) fn is_running(&self) -> bool {
        !self.task.is_empty()
    }

    /// Waits for the end of the erasure that is running; for ever where none is. After an error it may begin again.
    pub(super) async fn ended(&mut self) -> Result<(), OutboxError> {
        let Some(joined) = self.task.join_next().await else { return future::pending().await };
        match joined.map_err(nats_error).flatten() {
            Ok(messages) => {
                tracing::info!(messages, "events of a deleted user erased from the stream");
                Ok(())
            }
            Err(error) => {
                *self = Self::default();
                Err(error)
            }
        }
    }
}
