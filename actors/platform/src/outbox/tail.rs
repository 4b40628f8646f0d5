//! Looking on from a process of one's own, as a command does beside a service: from the stream, or from the outbox.

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
use faceofmind_runtime::legacy::Failure;
use futures_util::StreamExt as _;

use super::{STREAM, Subjects, store};
use crate::nats::Nats;
use faceofmind_model::event::PublishedEvent;

/// How long to wait for NATS before saying that it does not answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often to look into the outbox.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Events read from the outbox at once.
const PAGE: usize = 256;

/// What is published, as long as one looks.
pub struct Tail(Source);

enum Source {
    Stream { _nats: Nats, messages: Box<Ordered> },
    Outbox { db: Database, subjects: Subjects, position: i64, read: VecDeque<PublishedEvent> },
}

impl Tail {
    /// From the stream: from now on, or what was stored since then.
    ///
    /// # Errors
    /// When NATS does not answer or has no such stream.
    pub async fn of_stream(nats: Nats, subjects: &Subjects, since: Option<Timestamp>) -> Result<Self, Failure> {
        let up = async {
            while !nats.link().is_up() {
                nats.link().moved_from(nats.link().turn()).await;
            }
        };
        tokio::time::timeout(PATIENCE, up).await.map_err(|_| failed("it does not answer"))?;
        let stream = jetstream::new(nats.client().clone()).get_stream(STREAM).await;
        let stream =
            stream.map_err(|error| failed(format_args!("the stream {STREAM}, which a service makes: {error}")))?;
        let deliver_policy = since.map_or(Ok(DeliverPolicy::New), from)?;
        let wanted = OrderedConfig { filter_subject: subjects.as_str().into(), deliver_policy, ..Default::default() };
        let consumer = stream.create_consumer(wanted).await.map_err(failed)?;
        let messages = Box::new(consumer.messages().await.map_err(failed)?);
        Ok(Self(Source::Stream { _nats: nats, messages }))
    }

    /// From the outbox: from now on, or what was published since then and is kept.
    ///
    /// # Errors
    /// [`Failure::Store`].
    pub async fn of_outbox(db: Database, subjects: Subjects, since: Option<Timestamp>) -> Result<Self, Failure> {
        let position = match since {
            Some(since) => store::position_at(&db, since).await?,
            None => store::last_position(&db).await?,
        };
        Ok(Self(Source::Outbox { db, subjects, position, read: VecDeque::new() }))
    }

    /// Waits for the next event: its CloudEvents JSON, in one line.
    ///
    /// # Errors
    /// When the source fails.
    pub async fn next(&mut self) -> Result<String, Failure> {
        match &mut self.0 {
            Source::Stream { messages, .. } => {
                let message = messages.next().await.ok_or(Failure::Unavailable("the stream"))?.map_err(failed)?;
                String::from_utf8(message.payload.to_vec()).map_err(failed)
            }
            Source::Outbox { db, subjects, position, read } => loop {
                if let Some(event) = read.pop_front() {
                    *position = event.position;
                    if subjects.contain(&event.subject) {
                        return Ok(event.envelope);
                    }
                } else {
                    read.extend(store::published_after(db, *position, None, PAGE).await?);
                    if read.is_empty() {
                        tokio::time::sleep(LOOK_EVERY).await;
                    }
                }
            },
        }
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").finish_non_exhaustive()
    }
}

fn from(since: Timestamp) -> Result<DeliverPolicy, Failure> {
    let start_time = DateTime::from_unix_timestamp_nanos(i128::from(since.micros()) * 1000).map_err(failed)?;
    Ok(DeliverPolicy::ByStartTime { start_time })
}

fn failed(error: impl fmt::Display) -> Failure {
    Failure::Dependency { service: "NATS", reason: error.to_string() }
}
