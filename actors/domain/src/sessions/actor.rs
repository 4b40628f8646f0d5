//! The actor: the commands that wait, the batch being written, and the queries beside it.

use std::{sync::Arc, time::Duration};

use faceofmind_db::MAX_ROWS;
use faceofmind_platform::{
    Platform,
    idempotency::{self, StoredResponse},
};
use faceofmind_runtime::{
    Actor, AskError, BackgroundTask, BackgroundTaskStatus, ChildSpec, FailPoint, FlushGuard, Handle, Handler, Message,
    ReplyTo, TaskSet,
};
use schemars::JsonSchema;
use serde::Serialize;
use tracing::Instrument as _;

use super::{
    batch_writer::{BatchWriter, WriteCounts},
    commands::{ACTOR, Caller, Command, Enqueue, PendingCommand},
    counting,
    detection::Detection,
    failpoint::FailPointSite,
    messages::{
        AdviceLocale, CommandContext, DeleteSession, EndSession, ProcessEmotion, RateSession, RecordDetections,
        SessionError, StartSession,
    },
    queries,
    queues::{CommandQueues, Flushed, LargeFlushed},
    session::SessionId,
    session_reads::SessionReads,
};
use crate::suggestions::{Advice, SuggestionRequest, Suggestions};

mod reads;

/// The pause before held commands are tried again.
const HELD_RETRY: Duration = Duration::from_millis(50);

/// The bounds of the tracker.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The most unfinished requests. Beyond it, requests fail as busy.
    pub capacity: usize,
    /// The longest that a caller waits.
    pub deadline: Duration,
    /// The most rows of one table that a batch writes, 1 to 512. One command may bring more.
    pub max_batch_rows: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let deadline = Duration::from_secs(10);
        Self { capacity: 4096, deadline, max_batch_rows: MAX_ROWS }
    }
}

/// The actor's observable state.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    /// Commands that wait for a batch.
    pub pending: usize,
    /// Large commands that wait, each to be written alone.
    pub large: usize,
    /// Commands that wait for a row that another transaction holds, and those behind them or behind a large one.
    pub held: usize,
    /// Commands in the batch that is being written, without a large one.
    pub in_flight: usize,
    /// Reads of single sessions that wait for a query.
    pub session_reads: usize,
    /// Batches, queries and other work in progress.
    pub tasks: usize,
    /// Commands in the last batch.
    pub last_batch: usize,
    /// Tasks that panicked since the actor started.
    pub panics: u64,
    pub writes: WriteCounts,
    /// Counts the detections of older and of changed sessions, and lists the suggestions of older ones.
    pub counting: BackgroundTaskStatus,
}

pub struct SessionTracker {
    suggestions: Suggestions,
    deps: Arc<Platform>,
    handle: Handle<Self>,
    queues: CommandQueues,
    last_batch: usize,
    writer: Arc<BatchWriter>,
    session_reads: SessionReads,
    tasks: TaskSet,
    counting: BackgroundTask,
    #[cfg(any(test, feature = "test-hooks"))]
    fail_point: FailPoint<FailPointSite>,
}

impl SessionTracker {
    /// Returns the handle, and the actor to supervise.
    pub fn new(settings: Settings, suggestions: Suggestions, deps: Platform) -> (Handle<Self>, ChildSpec) {
        let handle = Handle::new(ACTOR, settings.capacity, settings.deadline);
        let (deps, own, fail_point) = (Arc::new(deps), handle.clone(), FailPoint::default());
        let child = ChildSpec::ready(handle.clone(), move || {
            Self::start(settings, suggestions.clone(), Arc::clone(&deps), own.clone(), fail_point.clone())
        });
        (handle, child)
    }

    fn start(
        settings: Settings,
        suggestions: Suggestions,
        deps: Arc<Platform>,
        handle: Handle<Self>,
        fail_point: FailPoint<FailPointSite>,
    ) -> Self {
        Self {
            suggestions,
            queues: CommandQueues::new(settings.max_batch_rows, &handle),
            last_batch: 0,
            writer: Arc::new(BatchWriter::new(Arc::clone(&deps), fail_point.clone())),
            session_reads: SessionReads::new(&handle),
            tasks: TaskSet::default(),
            counting: counting::task(&deps),
            deps,
            handle,
            #[cfg(any(test, feature = "test-hooks"))]
            fail_point,
        }
    }

    fn push(&mut self, context: CommandContext, command: Command, caller: impl Caller + 'static) {
        self.enqueue(PendingCommand::new(context, command, caller));
    }

    fn enqueue(&mut self, pending: PendingCommand) {
        self.queues.push(pending);
        self.flush();
    }

    /// Writes the next batch.
    fn flush(&mut self) {
        if let Some((batch, guard)) = self.queues.next_batch() {
            self.last_batch = batch.len();
            self.handle.record_batch_size(batch.len());
            self.write(batch, guard);
        }
    }

    /// Writes the next large command.
    fn flush_large(&mut self) {
        if let Some((command, guard)) = self.queues.next_large() {
            self.write(command, guard);
        }
    }

    /// Writes these commands in a span that follows from the spans of their requests.
    fn write(&mut self, batch: Vec<PendingCommand>, guard: FlushGuard) {
        let span = tracing::debug_span!(parent: None, "session_batch", commands = batch.len());
        for pending in &batch {
            span.follows_from(pending.caller.span());
        }
        let (writer, handle) = (Arc::clone(&self.writer), self.handle.clone());
        let write = async move {
            let held = writer.flush(batch).await;
            if !held.is_empty() {
                handle.tell(Held(held));
            }
            drop(guard);
        };
        self.tasks.spawn(write.instrument(span));
    }

    fn retry_held_soon(&mut self) {
        let handle = self.handle.clone();
        self.tasks.spawn(async move {
            tokio::time::sleep(HELD_RETRY).await;
            handle.tell(RetryHeld);
        });
    }

    fn is_busy(&self) -> bool {
        let queued = self.queues.pending() + self.queues.large() + self.queues.held() + self.session_reads.pending();
        !self.tasks.is_empty() || queued > 0
    }
}

impl Actor for SessionTracker {
    type Status = Status;

    fn status(&self) -> Status {
        Status {
            pending: self.queues.pending(),
            large: self.queues.large(),
            held: self.queues.held(),
            in_flight: usize::from(self.queues.is_in_flight()) * self.last_batch,
            session_reads: self.session_reads.pending(),
            tasks: self.tasks.len(),
            last_batch: self.last_batch,
            panics: self.tasks.panics(),
            writes: self.writer.counts(),
            counting: self.counting.status(),
        }
    }

    /// Writes and reads what is pending. `Flushed` and `ReadsAnswered` no longer reach an actor that is stopping.
    async fn on_stop(&mut self) {
        while self.is_busy() {
            self.tasks.join_all().await;
            self.queues.finish_all();
            self.session_reads.finish_all();
            self.answer_reads();
            self.queues.retry_held();
            self.flush();
            self.flush_large();
        }
    }
}

impl Handler<StartSession> for SessionTracker {
    fn handle(&mut self, StartSession { context, respond }: StartSession, reply: ReplyTo<StartSession>) {
        self.push(context, Command::Start(respond), reply);
    }
}

impl Handler<RecordDetections> for SessionTracker {
    fn handle(&mut self, message: RecordDetections, reply: ReplyTo<RecordDetections>) {
        let RecordDetections { context, session, detections, locale, respond } = message;
        let Some(at) = detections.iter().position(Detection::is_crisis) else {
            return self.push(context, Command::Record { session, detections, crisis: None, respond }, reply);
        };
        let (suggestions, handle) = (self.suggestions.clone(), self.handle.clone());
        let span = reply.span().clone();
        let record = async move {
            // In a crisis the catalogue answers without a call, so nothing is checked before.
            let crisis = Some(suggest(&suggestions, session, &detections[at], locale).await.into());
            let command = Command::Record { session, detections, crisis, respond };
            handle.tell(Enqueue(PendingCommand::new(context, command, reply)));
        };
        self.tasks.spawn(record.instrument(span));
    }
}

impl Handler<ProcessEmotion> for SessionTracker {
    fn handle(&mut self, message: ProcessEmotion, reply: ReplyTo<ProcessEmotion>) {
        let (deps, suggestions) = (Arc::clone(&self.deps), self.suggestions.clone());
        let (handle, span) = (self.handle.clone(), reply.span().clone());
        let process = async move {
            let ProcessEmotion { context, session, detection, locale, respond } = message;
            if let Some(result) = check_before_advice(&deps, &context, session).await.transpose() {
                return reply.send(result);
            }
            let advice = suggest(&suggestions, session, &detection, locale).await;
            let command = Command::Process { session, detection, advice, respond };
            handle.tell(Enqueue(PendingCommand::new(context, command, reply)));
        };
        self.tasks.spawn(process.instrument(span));
    }
}

impl Handler<RateSession> for SessionTracker {
    fn handle(&mut self, message: RateSession, reply: ReplyTo<RateSession>) {
        let RateSession { context, session, rating, respond } = message;
        self.push(context, Command::Rate { session, rating, respond }, reply);
    }
}

impl Handler<EndSession> for SessionTracker {
    fn handle(&mut self, EndSession { context, session, respond }: EndSession, reply: ReplyTo<EndSession>) {
        self.push(context, Command::End(session, respond), reply);
    }
}

impl Handler<DeleteSession> for SessionTracker {
    fn handle(&mut self, DeleteSession { context, session, respond }: DeleteSession, reply: ReplyTo<DeleteSession>) {
        self.push(context, Command::Delete(session, respond), reply);
    }
}

impl Handler<Enqueue> for SessionTracker {
    fn handle(&mut self, Enqueue(pending): Enqueue, _: ReplyTo<Enqueue>) {
        self.enqueue(pending);
    }
}

/// Commands of the flush that is ending, whose rows another transaction holds.
struct Held(Vec<PendingCommand>);

impl Message for Held {
    type Output = ();
    type Error = AskError;
}

impl Handler<Held> for SessionTracker {
    fn handle(&mut self, Held(held): Held, _: ReplyTo<Held>) {
        self.queues.hold(held);
        self.retry_held_soon();
    }
}

/// The rows of held commands may be free again.
struct RetryHeld;

impl Message for RetryHeld {
    type Output = ();
    type Error = AskError;
}

impl Handler<RetryHeld> for SessionTracker {
    fn handle(&mut self, _: RetryHeld, _: ReplyTo<RetryHeld>) {
        self.queues.retry_held();
        self.flush();
    }
}

impl Handler<LargeFlushed> for SessionTracker {
    fn handle(&mut self, LargeFlushed(flush): LargeFlushed, _: ReplyTo<LargeFlushed>) {
        self.queues.finish_large(flush);
        self.flush_large();
        // Some may have waited for this one.
        if self.queues.held() > 0 {
            self.retry_held_soon();
        }
    }
}

impl Handler<Flushed> for SessionTracker {
    fn handle(&mut self, Flushed(flush): Flushed, _: ReplyTo<Flushed>) {
        self.queues.finish_batch(flush);
        self.flush_large();
        self.flush();
    }
}

#[cfg(any(test, feature = "test-hooks"))]
impl Handler<super::ArmFailPoint> for SessionTracker {
    fn handle(&mut self, at: super::ArmFailPoint, reply: ReplyTo<super::ArmFailPoint>) {
        let handle = self.handle.clone();
        self.fail_point.arm(at.site, at.min_commands, move || handle.panic());
        reply.send(Ok(self.fail_point.clone()));
    }
}

/// Returns the stored response to an earlier request with this key; else nothing, if the session exists. *Why*: a request that is replayed or
/// refused asks for no advice, which may be a call of another service.
async fn check_before_advice(
    deps: &Platform,
    context: &CommandContext,
    session: SessionId,
) -> Result<Option<StoredResponse>, SessionError> {
    if let Some(key) = &context.key
        && let Some(claim) = idempotency::look_up(&deps.db, &deps.keyring, key, deps.clock.now()).await?
        && let Some(response) = claim.into_replay(SessionError::KeyReused)?
    {
        return Ok(Some(response));
    }
    queries::get(&deps.db, context.user, session).await.map(|_| None)
}

/// What a suggestion is about, in bytes: its theme is looked for on a thread that serves requests. A consultation may be 1 MiB; all of it is
/// stored, and searched for a crisis.
const MAX_SUGGESTION_BYTES: usize = 16 << 10;

/// The beginning of a text, at most [`MAX_SUGGESTION_BYTES`].
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_SUGGESTION_BYTES)]
}

async fn suggest(suggestions: &Suggestions, session: SessionId, detection: &Detection, locale: AdviceLocale) -> Advice {
    let AdviceLocale { time_zone, language } = locale;
    let emotion = detection.emotion().to_owned();
    let words = Some(beginning(detection.voice_content())).filter(|words| !words.is_empty()).map(str::to_owned);
    let (is_crisis, seed) = (detection.is_crisis(), session.0.unsigned_abs());
    suggestions.suggest(SuggestionRequest { emotion, words, is_crisis, language, time_zone, seed }).await
}
