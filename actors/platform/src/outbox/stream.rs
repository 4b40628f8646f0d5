//! The JetStream stream: set up as it must be, and written as a chain in which each message names the one before.
//!
//! A message that does not follow on the last is refused, so a lost one leaves no gap and a late one makes no disorder; one that
//! arrives twice within the duplicate window is stored once. Who has lost track reads from the stream itself what has arrived.
//!
//! The first message of a window names the stream's last by its number, the others name theirs by its id. A server that was started
//! again has forgotten the last id, and the message may be erased; the number holds all the same.

use std::{fmt, time::Duration};

use async_nats::jetstream::{
    Context, ErrorCode,
    context::{ContextBuilder, GetStreamErrorKind, PublishError},
    message::PublishMessage,
    stream::{Config, RetentionPolicy, StorageType, Stream},
};
use faceofmind_runtime::legacy::Failure;
use tokio::time::Instant;

use super::store::Unpublished;
use crate::nats::{Link, Nats};
use faceofmind_model::user::UserId;

mod erasure;
mod tail;

pub(super) use tail::Tail;

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
    /// How long the server may search for the next message of a user who is erased.
    pub search_timeout: Duration,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(7 * 24 * 3600),
            duplicate_window: Duration::from_secs(120),
            window: 256,
            ack_timeout: Duration::from_secs(2),
            search_timeout: Duration::from_secs(60),
        }
    }
}

/// The writing end of the stream.
pub(super) struct Chain {
    nats: Nats,
    context: Context,
    settings: StreamSettings,
    step: Option<Step>,
}

/// The number of the stream's last message, known as long as the connection holds.
#[derive(Clone, Copy)]
struct Step {
    turn: u64,
    last: u64,
}

/// What a window came to: so many arrived, from its beginning, and why no more.
pub(super) struct Sent {
    pub(super) arrived: usize,
    pub(super) outcome: Result<(), Failure>,
}

impl Chain {
    pub(super) fn new(nats: Nats, settings: StreamSettings) -> Self {
        let context = context(&nats, &settings, settings.ack_timeout);
        Self { nats, context, settings, step: None }
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
        let (first, last) = (state.first_sequence, state.last_sequence);
        self.step = Some(Step { turn, last });
        Ok(Tail { link, turn, first, unread: last, stream })
    }

    /// Publishes a window of events, in their order, and waits for the acknowledgements, `until` then at most.
    pub(super) async fn publish(&mut self, events: &[Unpublished], until: Instant) -> Sent {
        let Some(step) = self.step.take() else {
            return Sent { arrived: 0, outcome: Err(failure("the end of the stream is not known")) };
        };
        let mut acks = Acks { arrived: 0, last: step.last };
        let sending = async { send(&self.context, events, &mut acks).await.map_err(failure) };
        let sent = tokio::time::timeout_at(until, self.nats.link().during(step.turn, sending)).await;
        let outcome = sent.unwrap_or_else(|_| Err(failure("the acknowledgements did not come in time")));
        if outcome.is_ok() {
            self.step = Some(Step { turn: step.turn, last: acks.last });
        }
        Sent { arrived: acks.arrived, outcome }
    }

    /// Takes a user's messages out of the stream, up to its end as far as that is known, and says how many. What arrives behind it later
    /// breaks the chain, so what is published next, if it arrives, was published when all of theirs were gone. May be done again at any
    /// time, and by anybody.
    ///
    /// # Errors
    /// When NATS does not answer, or refuses.
    pub(super) fn erase(&self, user: UserId) -> impl Future<Output = Result<u64, Failure>> + use<> {
        let (link, step) = (self.link().clone(), self.step);
        let context = context(&self.nats, &self.settings, self.settings.search_timeout);
        async move {
            let Step { turn, last } = step.ok_or_else(|| failure("the end of the stream is not known"))?;
            let erasing = async {
                let stream = context.get_stream_no_info(NAME).await.map_err(failure)?;
                erasure::erase(&stream, user, last).await
            };
            link.during(turn, erasing).await
        }
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

/// JetStream, whose answers to anything but a publish may take that long.
fn context(nats: &Nats, settings: &StreamSettings, timeout: Duration) -> Context {
    ContextBuilder::new().timeout(timeout).ack_timeout(settings.ack_timeout).build(nats.client().clone())
}

/// What was acknowledged: how many, and the number of the last.
struct Acks {
    arrived: usize,
    last: u64,
}

/// Sends all, then waits for each acknowledgement in turn.
async fn send(context: &Context, events: &[Unpublished], acks: &mut Acks) -> Result<(), PublishError> {
    let mut awaited = Vec::with_capacity(events.len());
    let mut before = None;
    for event in events {
        let message = match before {
            None => message(event).expected_last_sequence(acks.last),
            Some(id) => message(event).expected_last_message_id(id),
        };
        awaited.push(context.send_publish(event.subject.clone(), message).await?);
        before = Some(&event.id);
    }
    for ack in awaited {
        acks.last = ack.await?.sequence;
        acks.arrived += 1;
    }
    Ok(())
}

fn message(event: &Unpublished) -> PublishMessage {
    PublishMessage::build()
        .header("Content-Type", "application/cloudevents+json")
        .expected_stream(NAME)
        .message_id(&event.id)
        .payload(event.envelope.clone().into())
}

/// What makes a stream useless to us and cannot be changed in one that exists.
fn unfit(config: &Config) -> Option<&'static str> {
    if config.storage != StorageType::File {
        Some("keeps its messages in memory, and would lose them")
    } else if config.retention != RetentionPolicy::Limits {
        Some("drops messages once they are read, and siblings would miss them")
    } else if config.sealed || config.deny_delete {
        Some("is sealed or denies deleting, and users could not be erased from it")
    } else {
        None
    }
}

fn is_not_found(kind: &GetStreamErrorKind) -> bool {
    matches!(kind, GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// Says all that the client knows, down to the server's own words.
fn failure(error: impl fmt::Display) -> Failure {
    Failure::Dependency { service: "NATS", reason: error.to_string() }
}
