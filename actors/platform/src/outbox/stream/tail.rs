//! Reads the stream backwards: what has arrived, for who does not know.

use async_nats::{
    header,
    jetstream::stream::{RawMessageErrorKind, Stream},
};
use faceofmind_runtime::legacy::Failure;
use tokio::task::JoinSet;

use super::failure;
use crate::nats::Link;

/// The end of the stream, read backwards.
pub(in crate::outbox) struct Tail {
    pub(super) link: Link,
    pub(super) turn: u64,
    pub(super) stream: Stream,
    pub(super) first: u64,
    pub(super) unread: u64,
}

impl Tail {
    /// The ids of the next `step` messages towards the beginning, in stream order; none at the beginning, or where all were erased.
    pub(in crate::outbox) async fn back(&mut self, step: usize) -> Result<Vec<String>, Failure> {
        let from = self.unread.saturating_sub(step as u64 - 1).max(self.first).max(1);
        let ids = self.read(from, self.unread).await?;
        self.unread = from - 1;
        Ok(ids)
    }

    async fn read(&self, from: u64, to: u64) -> Result<Vec<String>, Failure> {
        self.link.during(self.turn, self.read_all(from, to)).await
    }

    async fn read_all(&self, from: u64, to: u64) -> Result<Vec<String>, Failure> {
        let mut reads = JoinSet::new();
        for sequence in from..=to {
            let stream = self.stream.clone();
            reads.spawn(async move { Ok((sequence, message_id(&stream, sequence).await?)) });
        }
        let mut ids: Vec<(u64, Option<String>)> = reads.join_all().await.into_iter().collect::<Result<_, Failure>>()?;
        ids.sort_unstable_by_key(|&(sequence, _)| sequence);
        Ok(ids.into_iter().filter_map(|(_, id)| id).collect())
    }
}

async fn message_id(stream: &Stream, sequence: u64) -> Result<Option<String>, Failure> {
    match stream.get_raw_message(sequence).await {
        Ok(message) => Ok(message.headers.get(header::NATS_MESSAGE_ID).map(ToString::to_string)),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(failure(error)),
    }
}
