//! Reads the stream backwards, to find out what has arrived.

use async_nats::{
    header,
    jetstream::stream::{RawMessageErrorKind, Stream},
};
use tokio::task::JoinSet;

use super::{ROW, nats_error};
use crate::nats::ConnectionState;
use crate::outbox::error::OutboxError;

/// Which event a message carries.
pub(in crate::outbox) struct MessageId {
    /// The event's id.
    pub(in crate::outbox) event: String,
    /// The id of its row in the outbox.
    pub(in crate::outbox) row: String,
}

pub(in crate::outbox) struct BackwardReader {
    pub(super) connection: ConnectionState,
    pub(super) epoch: u64,
    pub(super) stream: Stream,
    pub(super) first: u64,
    pub(super) unread: u64,
}

impl BackwardReader {
    /// Whether every message was read.
    pub(in crate::outbox) fn is_at_start(&self) -> bool {
        self.unread < self.first.max(1)
    }

    /// Returns the ids of the next `count` messages towards the start, in stream order. Returns none at the start, or if all were erased.
    pub(in crate::outbox) async fn read_backwards(&mut self, count: usize) -> Result<Vec<MessageId>, OutboxError> {
        let from = self.unread.saturating_sub(count as u64 - 1).max(self.first).max(1);
        let ids = self.connection.while_connected(self.epoch, self.read(from, self.unread)).await?;
        self.unread = from - 1;
        Ok(ids)
    }

    async fn read(&self, from: u64, to: u64) -> Result<Vec<MessageId>, OutboxError> {
        let mut reads = JoinSet::new();
        for sequence in from..=to {
            let stream = self.stream.clone();
            reads.spawn(async move { Ok((sequence, message_id(&stream, sequence).await?)) });
        }
        let mut ids: Vec<(u64, Option<MessageId>)> =
            reads.join_all().await.into_iter().collect::<Result<_, OutboxError>>()?;
        ids.sort_unstable_by_key(|&(sequence, _)| sequence);
        Ok(ids.into_iter().filter_map(|(_, id)| id).collect())
    }
}

async fn message_id(stream: &Stream, sequence: u64) -> Result<Option<MessageId>, OutboxError> {
    match stream.get_raw_message(sequence).await {
        Ok(message) => Ok(message.headers.get(header::NATS_MESSAGE_ID).map(|event| MessageId {
            event: event.to_string(),
            row: message.headers.get(ROW).unwrap_or(event).to_string(),
        })),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(nats_error(error)),
    }
}
