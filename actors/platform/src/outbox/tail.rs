//! Following events from another process, as a command beside a running service does: from the stream, or from the outbox.

use std::{collections::VecDeque, fmt, time::Duration};

use async_nats::{
    datetime::DateTime,
    jetstream::{
        self,
        consumer::{
            DeliverPolicy,
            pull::{Ordered, OrderedConfig},
        },
    },
};
use faceofmind_base::Timestamp;
use faceofmind_db::Database;
use faceofmind_model::event::PublishedEvent;
use futures_util::StreamExt as _;

use super::{OutboxError, STREAM, SubjectPattern, bus::PAGE, store::published, stream::nats_error};
use crate::nats::NatsConnection;

/// How long to wait for a connection to NATS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Published events, as they come.
pub struct EventTail(Source);

enum Source {
    Stream { _nats: NatsConnection, messages: Box<Ordered> },
    Outbox { db: Database, pattern: SubjectPattern, position: i64, page: VecDeque<PublishedEvent> },
}

impl EventTail {
    /// Follows the stream: events from now on, or those stored since `since`.
    pub async fn of_stream(
        nats: NatsConnection,
        pattern: &SubjectPattern,
        since: Option<Timestamp>,
    ) -> Result<Self, OutboxError> {
        let connected = async {
            while !nats.state().is_connected() {
                nats.state().changed_since(nats.state().epoch()).await;
            }
        };
        tokio::time::timeout(CONNECT_TIMEOUT, connected).await.map_err(|_| nats_error("it does not answer"))?;
        let stream = jetstream::new(nats.client().clone()).get_stream(STREAM).await;
        let stream =
            stream.map_err(|error| nats_error(format_args!("the stream {STREAM}, which a service makes: {error}")))?;
        let deliver_policy = since.map_or(Ok(DeliverPolicy::New), deliver_since)?;
        let config = OrderedConfig { filter_subject: pattern.as_str().into(), deliver_policy, ..Default::default() };
        let consumer = stream.create_consumer(config).await.map_err(nats_error)?;
        let messages = Box::new(consumer.messages().await.map_err(nats_error)?);
        Ok(Self(Source::Stream { _nats: nats, messages }))
    }

    /// Follows the outbox: events from now on, or those published since `since` and still kept.
    pub async fn of_outbox(
        db: Database,
        pattern: SubjectPattern,
        since: Option<Timestamp>,
    ) -> Result<Self, OutboxError> {
        let position = match since {
            Some(since) => published::position_at(&db, since).await?,
            None => published::last_position(&db).await?,
        };
        Ok(Self(Source::Outbox { db, pattern, position, page: VecDeque::new() }))
    }

    /// Waits for the next event, and returns its CloudEvents JSON in one line.
    pub async fn next(&mut self) -> Result<String, OutboxError> {
        match &mut self.0 {
            Source::Stream { messages, .. } => {
                let message = messages.next().await.ok_or_else(|| nats_error("the stream ended"))?;
                String::from_utf8(message.map_err(nats_error)?.payload.to_vec()).map_err(nats_error)
            }
            Source::Outbox { db, pattern, position, page } => loop {
                if let Some(event) = page.pop_front() {
                    if pattern.matches(&event.subject) {
                        return Ok(event.envelope);
                    }
                } else {
                    let read = published::after(db, *position, None, PAGE).await?;
                    *position = read.last;
                    page.extend(read.events);
                    if !read.more && page.is_empty() {
                        tokio::time::sleep(POLL_INTERVAL).await;
                    }
                }
            },
        }
    }
}

impl fmt::Debug for EventTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventTail").finish_non_exhaustive()
    }
}

fn deliver_since(since: Timestamp) -> Result<DeliverPolicy, OutboxError> {
    let start_time = DateTime::from_unix_timestamp_nanos(i128::from(since.micros()) * 1000).map_err(nats_error)?;
    Ok(DeliverPolicy::ByStartTime { start_time })
}
