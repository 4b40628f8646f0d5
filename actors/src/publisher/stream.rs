//! The JetStream stream: set up as it must be, and written as a chain in which each message names the one before.
//!
//! A message that does not follow on the last is refused, so a lost one leaves no gap and a late one makes no disorder; one that
//! arrives twice within the duplicate window is stored once. Who has lost track reads from the stream itself what has arrived.

use std::{fmt, time::Duration};

use async_nats::{
    header,
    jetstream::{
        Context, ErrorCode,
        context::{ContextBuilder, GetStreamErrorKind, PublishError, PublishErrorKind},
        message::PublishMessage,
        stream::{Config, RawMessageErrorKind, RetentionPolicy, StorageType, Stream},
    },
};
use faceofmind_kit::Failure;
use tokio::{task::JoinSet, time::Instant};

use super::outbox::Unpublished;
use crate::nats::{Link, Nats};

/// The stream's name.
pub const NAME: &str = "FACEOFMIND";
/// What it holds.
const SUBJECTS: &str = "faceofmind.v1.>";

/// How the stream is kept.
#[derive(Clone, Copy, Debug)]
pub struct StreamSettings {
    /// How long an event stays in the stream.
    pub max_age: Duration,
    /// How long the server knows an event again by its id. At most `max_age`.
    pub duplicate_window: Duration,
    /// How many messages may be on their way unacknowledged.
    pub window: usize,
    /// How long to wait for an acknowledgement.
    pub ack_timeout: Duration,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(7 * 24 * 3600),
            duplicate_window: Duration::from_secs(120),
            window: 256,
            ack_timeout: Duration::from_secs(2),
        }
    }
}

/// The writing end of the stream.
pub(super) struct Chain {
    nats: Nats,
    context: Context,
    settings: StreamSettings,
    step: Option<Step>,
    /// A link that was refused although it is the stream's last message: the server remembers another, as after a purge.
    refused: Option<String>,
}

/// What is known of the stream's end, as long as the connection holds.
#[derive(Clone)]
struct Step {
    turn: u64,
    last: Option<String>,
}

/// What a window came to: so many arrived, from its beginning, and why no more.
pub(super) struct Sent {
    pub(super) arrived: usize,
    pub(super) outcome: Result<(), Failure>,
}

impl Chain {
    pub(super) fn new(nats: Nats, settings: StreamSettings) -> Self {
        let context = ContextBuilder::new()
            .timeout(settings.ack_timeout)
            .ack_timeout(settings.ack_timeout)
            .build(nats.client().clone());
        Self { nats, context, settings, step: None, refused: None }
    }

    pub(super) fn link(&self) -> &Link {
        self.nats.link()
    }

    /// Whether the stream's end is known.
    pub(super) fn is_in_step(&self) -> bool {
        self.step.as_ref().is_some_and(|step| step.turn == self.link().turn())
    }

    /// Forgets the stream's end: somebody else may have written, or what was written is not noted.
    pub(super) fn lose_step(&mut self) {
        self.step = None;
    }

    /// Sets the stream up and finds its end. Read [`Tail::back`] for what has arrived before publishing anything.
    ///
    /// # Errors
    /// When NATS does not answer, or the stream is not what it must be and NATS cannot change it.
    pub(super) async fn get_in_step(&mut self) -> Result<Tail, Failure> {
        let (link, turn) = (self.link().clone(), self.link().turn());
        let stream = link.during(turn, self.open()).await?;
        let state = &stream.cached_info().state;
        let tail = Tail { link, turn, first: state.first_sequence, unread: state.last_sequence, stream };
        let last = tail.peek().await?.filter(|last| Some(last) != self.refused.as_ref());
        self.step = Some(Step { turn, last });
        Ok(tail)
    }

    /// Publishes a window of events, in their order, and waits for the acknowledgements, `until` then at most.
    pub(super) async fn publish(&mut self, events: &[Unpublished], until: Instant) -> Sent {
        let Some(step) = self.step.take() else {
            return Sent { arrived: 0, outcome: Err(failure("the end of the stream is not known")) };
        };
        let mut arrived = 0;
        let sending = async {
            send(&self.context, step.last.as_deref(), events, &mut arrived).await.map_err(|error| {
                self.refused = step.last.clone().filter(|_| error.kind() == PublishErrorKind::WrongLastMessageId);
                failure(error)
            })
        };
        let sent = tokio::time::timeout_at(until, self.nats.link().during(step.turn, sending)).await;
        let outcome = sent.unwrap_or_else(|_| Err(failure("the acknowledgements did not come in time")));
        if outcome.is_ok() {
            self.refused = None;
            let last = events.last().map(|event| event.id.clone()).or(step.last);
            self.step = Some(Step { turn: step.turn, last });
        }
        Sent { arrived, outcome }
    }

    async fn open(&self) -> Result<Stream, Failure> {
        match self.context.get_stream(NAME).await {
            Ok(stream) => self.adapt(stream).await,
            Err(error) if is_not_found(&error.kind()) => {
                let wanted = self.wanted(Config { name: NAME.into(), storage: StorageType::File, ..Config::default() });
                let stream = self.context.create_stream(&wanted).await.map_err(failure)?;
                tracing::info!(stream = NAME, "created the stream");
                Ok(stream)
            }
            Err(error) => Err(failure(error)),
        }
    }

    async fn adapt(&self, stream: Stream) -> Result<Stream, Failure> {
        let found = &stream.cached_info().config;
        if let Some(fault) = unfit(found) {
            let way_out = "NATS cannot change that. Remove the stream, and it is made anew";
            return Err(failure(format_args!("the stream {NAME} {fault}; {way_out} (nats stream rm {NAME})")));
        }
        let wanted = self.wanted(found.clone());
        if *found == wanted {
            return Ok(stream);
        }
        self.context.update_stream(&wanted).await.map_err(failure)?;
        tracing::info!(stream = NAME, "set the stream as the settings say");
        self.context.get_stream(NAME).await.map_err(failure)
    }

    /// A configuration with what is ours to say in it; the rest, such as replicas, is its operator's.
    fn wanted(&self, mut config: Config) -> Config {
        if !config.subjects.iter().any(|subject| subject == SUBJECTS) {
            config.subjects.push(SUBJECTS.into());
        }
        config.max_age = self.settings.max_age;
        config.duplicate_window = self.settings.duplicate_window;
        config.no_ack = false;
        config
    }
}

/// Sends all, then waits for each acknowledgement in turn, counting.
async fn send(
    context: &Context,
    last: Option<&str>,
    events: &[Unpublished],
    arrived: &mut usize,
) -> Result<(), PublishError> {
    let mut acks = Vec::with_capacity(events.len());
    let mut last = last;
    for event in events {
        acks.push(context.send_publish(event.subject.clone(), message(event, last)).await?);
        last = Some(&event.id);
    }
    for ack in acks {
        ack.await?;
        *arrived += 1;
    }
    Ok(())
}

fn message(event: &Unpublished, last: Option<&str>) -> PublishMessage {
    let message = PublishMessage::build()
        .header("Content-Type", "application/cloudevents+json")
        .expected_stream(NAME)
        .message_id(&event.id)
        .payload(event.envelope.clone().into());
    match last {
        Some(last) => message.expected_last_message_id(last),
        None => message,
    }
}

/// What makes a stream useless to us and cannot be changed in one that exists.
fn unfit(config: &Config) -> Option<&'static str> {
    if config.storage != StorageType::File {
        Some("keeps its messages in memory, and would lose them")
    } else if config.retention != RetentionPolicy::Limits {
        Some("drops messages once they are read, and siblings would miss them")
    } else if config.sealed || config.deny_purge {
        Some("is sealed or denies purging, and users could not be erased from it")
    } else {
        None
    }
}

/// The end of the stream, read backwards.
pub(super) struct Tail {
    link: Link,
    turn: u64,
    stream: Stream,
    first: u64,
    unread: u64,
}

impl Tail {
    /// The ids of the next `step` messages towards the beginning, in stream order; none at the beginning, or where all were purged.
    pub(super) async fn back(&mut self, step: usize) -> Result<Vec<String>, Failure> {
        let from = self.unread.saturating_sub(step as u64 - 1).max(self.first).max(1);
        let ids = self.read(from, self.unread).await?;
        self.unread = from - 1;
        Ok(ids)
    }

    /// The id of the very last message, if it has not been purged.
    async fn peek(&self) -> Result<Option<String>, Failure> {
        Ok(self.read(self.unread.max(1), self.unread).await?.pop())
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

fn is_not_found(kind: &GetStreamErrorKind) -> bool {
    matches!(kind, GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// Says all that the client knows, down to the server's own words.
fn failure(error: impl fmt::Display) -> Failure {
    Failure::Dependency { service: "NATS", reason: error.to_string() }
}
