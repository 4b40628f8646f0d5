//! The JetStream stream: how it is configured, and written as a chain in which each message names its predecessor.
//!
//! *Guarantees*: the server rejects a message that does not follow the last one, so a lost message leaves no gap and a late one breaks no
//! order. A message that arrives twice within the duplicate window is stored once. A writer that does not know what has arrived reads it from
//! the stream.
//!
//! The first message of a window names its predecessor by sequence number, the others by message id. *Why*: a restarted server has forgotten
//! the last message id, and the last message may be erased, but the sequence number stays.

use std::{collections::VecDeque, error::Error as _, fmt, ops::RangeInclusive, time::Duration};

use async_nats::jetstream::{
    Context, ErrorCode,
    context::{ContextBuilder, GetStreamErrorKind, PublishAckFuture, PublishError, PublishErrorKind},
    message::PublishMessage,
    stream::{Config, RetentionPolicy, StorageType, Stream},
};
use faceofmind_model::UserId;
use tokio::time::Instant;

use super::{
    error::OutboxError,
    store::pending::{PendingEvent, PendingRow},
};
use crate::{
    DependencyError,
    nats::{ConnectionState, NatsConnection},
};

mod erasure;
mod tail;

pub(super) use tail::{BackwardReader, MessageId};

pub const NAME: &str = "FACEOFMIND";
const SUBJECTS: &str = "faceofmind.v1.>";
/// The header of an event that shares its row of the outbox with others: the id of the row.
pub const ROW: &str = "Faceofmind-Outbox-Row";
/// How often the server confirms the end of a stream to which nothing is published.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(2);
const UNKNOWN_END: &str = "the end of the stream is not known";

/// How the stream is configured and written.
#[derive(Clone, Copy, Debug)]
pub struct StreamSettings {
    /// How long the stream keeps an event.
    pub max_age: Duration,
    /// How long the server recognises an event by its id. At most `max_age`.
    pub duplicate_window: Duration,
    /// The most messages in flight without an acknowledgement.
    pub window: usize,
    pub ack_timeout: Duration,
    /// How long the server may search for the next message of an erased user.
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

pub(super) struct StreamWriter {
    nats: NatsConnection,
    context: Context,
    settings: StreamSettings,
    end: Option<StreamEnd>,
}

/// The sequence number of the stream's last message. It is known for as long as the connection lasts.
#[derive(Clone, Copy)]
struct StreamEnd {
    epoch: u64,
    last: u64,
    /// When the server confirmed it.
    confirmed: Instant,
}

/// How many of the messages have arrived, counted from the first, and why not all.
pub(super) struct PublishResult {
    pub(super) arrived: usize,
    pub(super) outcome: Result<(), PublishFailure>,
}

/// Why the first message that has not arrived has not.
#[derive(Debug)]
pub(super) struct PublishFailure {
    pub(super) error: OutboxError,
    /// Whether the server takes no such message, however often it is sent.
    pub(super) refused: bool,
}

impl From<OutboxError> for PublishFailure {
    fn from(error: OutboxError) -> Self {
        Self { error, refused: false }
    }
}

impl From<PublishError> for PublishFailure {
    fn from(error: PublishError) -> Self {
        let refusals = [ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM, ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM];
        let by_server = error.source().and_then(|source| source.downcast_ref::<async_nats::jetstream::Error>());
        let refused = error.kind() == PublishErrorKind::MaxPayloadExceeded
            || by_server.is_some_and(|error| refusals.contains(&error.error_code()));
        let reason = by_server.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
        Self { error: nats_error(reason), refused }
    }
}

impl StreamWriter {
    pub(super) fn new(nats: NatsConnection, settings: StreamSettings) -> Self {
        let context = context(&nats, &settings, settings.ack_timeout);
        Self { nats, context, settings, end: None }
    }

    pub(super) fn connection(&self) -> &ConnectionState {
        self.nats.state()
    }

    /// Whether the stream's end is known. Lets the server confirm it from time to time: an operator may have deleted the stream.
    pub(super) async fn knows_end(&mut self) -> bool {
        let epoch = self.connection().epoch();
        let Some(end) = self.end.as_mut().filter(|end| end.epoch == epoch) else { return false };
        if end.confirmed.elapsed() > CONFIRM_INTERVAL {
            let stream = self.context.get_stream(NAME).await;
            if !stream.is_ok_and(|stream| stream.cached_info().state.last_sequence == end.last) {
                self.end = None;
                return false;
            }
            end.confirmed = Instant::now();
        }
        true
    }

    /// Forgets the stream's end: another node may have written, or positions were not stored.
    pub(super) fn forget_end(&mut self) {
        self.end = None;
    }

    /// Configures the stream and finds its end. Before it publishes, the caller reads from the tail what has arrived.
    ///
    /// # Errors
    /// NATS does not answer, or the stream has a configuration that NATS cannot change into ours.
    pub(super) async fn sync(&mut self) -> Result<BackwardReader, OutboxError> {
        let (connection, epoch) = (self.connection().clone(), self.connection().epoch());
        let stream = connection.while_connected(epoch, self.open()).await?;
        let state = &stream.cached_info().state;
        let (first, last) = (state.first_sequence, state.last_sequence);
        self.end = Some(StreamEnd { epoch, last, confirmed: Instant::now() });
        Ok(BackwardReader { connection, epoch, first, unread: last, stream })
    }

    /// Publishes the events of these rows that have not arrived yet, in their order, and waits for the acknowledgements until `until`. It sends as
    /// many rows as leave time for that.
    pub(super) async fn publish(&mut self, rows: &[PendingRow], until: Instant) -> PublishResult {
        let Some(StreamEnd { epoch, last, .. }) = self.end.take() else {
            return PublishResult { arrived: 0, outcome: Err(nats_error(UNKNOWN_END).into()) };
        };
        let mut acks = Acks { arrived: 0, last, awaited: VecDeque::new() };
        let send_until = until.checked_sub(self.settings.ack_timeout).unwrap_or(until);
        let window = Window { size: self.settings.window, until: send_until };
        let sending = async { Ok::<_, OutboxError>(send(&self.context, rows, window, &mut acks).await) };
        let sent = tokio::time::timeout_at(until, self.nats.state().while_connected(epoch, sending)).await;
        let outcome = match sent {
            Ok(Ok(sent)) => sent.map_err(PublishFailure::from),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(nats_error("the acknowledgements did not come in time").into()),
        };
        if outcome.is_ok() {
            self.end = Some(StreamEnd { epoch, last: acks.last, confirmed: Instant::now() });
        }
        PublishResult { arrived: acks.arrived, outcome }
    }

    /// The sequence number of the stream's last message. None where it is not known.
    pub(super) fn last_sequence(&self) -> Option<u64> {
        self.end.map(|end| end.last)
    }

    /// Deletes a user's messages with these sequence numbers from the stream, and returns how many there were. Any node may repeat it at any
    /// time.
    ///
    /// *Guarantees*: where the last one is the stream's known end, what is published next arrives only if it follows what this writer has
    /// published, so only if no other message of the user has arrived meanwhile.
    pub(super) fn erase(
        &self,
        user: UserId,
        messages: RangeInclusive<u64>,
    ) -> impl Future<Output = Result<u64, OutboxError>> + use<> {
        let (connection, epoch) = (self.connection().clone(), self.connection().epoch());
        let context = context(&self.nats, &self.settings, self.settings.search_timeout);
        async move {
            let erasing = async {
                let stream = context.get_stream_no_info(NAME).await.map_err(nats_error)?;
                erasure::erase(&stream, user, messages).await
            };
            connection.while_connected(epoch, erasing).await
        }
    }

    async fn open(&self) -> Result<Stream, OutboxError> {
        match self.context.get_stream(NAME).await {
            Ok(stream) => self.reconcile_config(stream).await,
            Err(error) if is_not_found(&error.kind()) => {
                let config = Config { name: NAME.into(), storage: StorageType::File, ..Config::default() };
                let stream = self.context.create_stream(&self.desired_config(config)).await.map_err(nats_error)?;
                tracing::info!(stream = NAME, "stream created");
                Ok(stream)
            }
            Err(error) => Err(nats_error(error)),
        }
    }

    async fn reconcile_config(&self, stream: Stream) -> Result<Stream, OutboxError> {
        let found = &stream.cached_info().config;
        if let Some(reason) = incompatibility(found) {
            let remedy = "NATS cannot change that. Remove the stream, and it is created again";
            return Err(nats_error(format_args!("the stream {NAME} {reason}; {remedy} (nats stream rm {NAME})")));
        }
        let desired = self.desired_config(found.clone());
        if *found == desired {
            return Ok(stream);
        }
        self.context.update_stream(&desired).await.map_err(nats_error)?;
        tracing::info!(stream = NAME, "stream configuration updated from the settings");
        self.context.get_stream(NAME).await.map_err(nats_error)
    }

    /// Sets what this service decides. The rest, such as the number of replicas, is the operator's decision.
    fn desired_config(&self, mut config: Config) -> Config {
        if !config.subjects.iter().any(|subject| subject == SUBJECTS) {
            config.subjects.push(SUBJECTS.into());
        }
        config.max_age = self.settings.max_age;
        config.duplicate_window = self.settings.duplicate_window;
        config.no_ack = false;
        config
    }
}

/// Returns a JetStream context whose requests, other than publishes, have this timeout.
fn context(nats: &NatsConnection, settings: &StreamSettings, timeout: Duration) -> Context {
    ContextBuilder::new().timeout(timeout).ack_timeout(settings.ack_timeout).build(nats.client().clone())
}

/// How many messages were acknowledged, the sequence number of the last, and the acknowledgements to come.
struct Acks {
    arrived: usize,
    last: u64,
    awaited: VecDeque<PublishAckFuture>,
}

impl Acks {
    /// Waits until at most `left` acknowledgements are to come.
    async fn wait(&mut self, left: usize) -> Result<(), PublishError> {
        while self.awaited.len() > left
            && let Some(ack) = self.awaited.pop_front()
        {
            // A message that the server knows by its id has an earlier number.
            self.last = self.last.max(ack.await?.sequence);
            self.arrived += 1;
        }
        Ok(())
    }
}

/// How many messages may be in flight, and until when rows are sent.
struct Window {
    size: usize,
    until: Instant,
}

/// Sends the messages, or those before the first that cannot be sent, and waits for the acknowledgements.
async fn send(context: &Context, rows: &[PendingRow], window: Window, acks: &mut Acks) -> Result<(), PublishError> {
    let mut predecessor = None;
    let begin = acks.last;
    for row in rows {
        if predecessor.is_some() && Instant::now() > window.until {
            break;
        }
        for event in row.to_send() {
            acks.wait(window.size - 1).await?;
            let message = match predecessor {
                None => message(row, event).expected_last_sequence(begin),
                Some(id) => message(row, event).expected_last_message_id(id),
            };
            match context.send_publish(event.subject.clone(), message).await {
                Ok(ack) => acks.awaited.push_back(ack),
                Err(error) => return acks.wait(0).await.and(Err(error)),
            }
            predecessor = Some(&event.id);
        }
    }
    acks.wait(0).await
}

fn message(row: &PendingRow, event: &PendingEvent) -> PublishMessage {
    let message = PublishMessage::build()
        .header("Content-Type", "application/cloudevents+json")
        .expected_stream(NAME)
        .message_id(&event.id)
        .payload(event.envelope.clone().into());
    if event.id == row.id { message } else { message.header(ROW, row.id.as_str()) }
}

/// Returns why a stream cannot be used, where NATS cannot change it.
fn incompatibility(config: &Config) -> Option<&'static str> {
    if config.storage != StorageType::File {
        Some("keeps its messages in memory, and would lose them")
    } else if config.retention != RetentionPolicy::Limits {
        Some("drops messages once they are read, and other consumers would miss them")
    } else if config.sealed || config.deny_delete {
        Some("is sealed or denies deleting, and users could not be erased from it")
    } else {
        None
    }
}

fn is_not_found(kind: &GetStreamErrorKind) -> bool {
    matches!(kind, GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

pub(super) fn nats_error(error: impl fmt::Display) -> OutboxError {
    OutboxError::Nats(DependencyError { service: "NATS", reason: error.to_string() })
}
