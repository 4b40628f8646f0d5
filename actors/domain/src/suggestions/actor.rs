//! The actor: calls the endpoint beside its mailbox, as often as the maximum of concurrent calls and the circuit breaker allow.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use faceofmind_base::{Backoff, Clock, Rng};
use faceofmind_runtime::{Actor, AskError, ChildSpec, Handle, Handler, Message, ReplyTo, TaskSet};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tracing::Instrument as _;

use super::{
    breaker::{Breaker, BreakerSettings, BreakerState, CallPermit, Change},
    crisis,
    endpoint::{Endpoint, EndpointError},
    suggestion::{SuggestionCounts, SuggestionRequest, Suggestions},
};

const NAME: &str = "suggestions";
/// Between the endpoint's deadline and the actor's. With it, every suggestion is made within 3 s.
const GRACE: Duration = Duration::from_millis(300);

/// The bounds of calls to the endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The longest that the endpoint may take for one answer.
    pub deadline: Duration,
    /// Concurrent calls. Beyond it the catalogue writes.
    pub max_concurrent: usize,
    pub breaker: BreakerSettings,
}

impl Default for Settings {
    fn default() -> Self {
        let backoff = Backoff { initial: Duration::from_secs(5), max: Duration::from_secs(300) };
        let breaker = BreakerSettings { failures: 3, backoff };
        Self { deadline: Duration::from_millis(2500), max_concurrent: 16, breaker }
    }
}

/// The actor's observable state.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    pub suggestions: SuggestionCounts,
    /// Null where no endpoint is set.
    pub endpoint: Option<EndpointStatus>,
}

/// The state of the calls to the endpoint.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EndpointStatus {
    pub breaker: BreakerState,
    /// Calls in progress.
    pub in_progress: usize,
    /// Calls that panicked since the actor started.
    pub panics: u64,
    /// Why a call last failed.
    pub last_error: Option<String>,
}

pub struct SuggestionEngine {
    settings: Settings,
    endpoint: Option<Endpoint>,
    clock: Clock,
    rng: Rng,
    handle: Handle<Self>,
    breaker: Breaker,
    /// A call holds its slot until it ends, also when it panics.
    slots: Arc<Semaphore>,
    last_error: Option<EndpointError>,
    counts: Arc<Mutex<SuggestionCounts>>,
    tasks: TaskSet,
}

impl SuggestionEngine {
    /// Returns the handle, what suggests with it, and the actor to supervise. Without an endpoint the catalogue writes all suggestions.
    pub fn new(
        settings: Settings,
        endpoint: Option<Endpoint>,
        (clock, rng): (Clock, Rng),
    ) -> (Handle<Self>, Suggestions, ChildSpec) {
        crisis::prepare();
        let handle = Handle::new(NAME, settings.max_concurrent * 2, settings.deadline + GRACE);
        let counts = Arc::<Mutex<_>>::default();
        let engine = endpoint.is_some().then(|| handle.clone());
        let suggestions = Suggestions { endpoint: engine, counts: Arc::clone(&counts) };
        let own = handle.clone();
        let child = ChildSpec::ready(handle.clone(), move || Self {
            settings,
            endpoint: endpoint.clone(),
            clock: clock.clone(),
            rng: rng.clone(),
            handle: own.clone(),
            breaker: Breaker::new(settings.breaker),
            slots: Arc::new(Semaphore::new(settings.max_concurrent)),
            last_error: None,
            counts: Arc::clone(&counts),
            tasks: TaskSet::default(),
        });
        (handle, suggestions, child)
    }

    fn try_acquire(&mut self) -> Option<(Endpoint, CallPermit, OwnedSemaphorePermit)> {
        let endpoint = self.endpoint.clone()?;
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        let permit = self.breaker.try_acquire(self.clock.now(), &self.rng)?;
        Some((endpoint, permit, slot))
    }
}

impl Actor for SuggestionEngine {
    type Status = Status;

    fn status(&self) -> Status {
        let endpoint = self.endpoint.is_some().then(|| EndpointStatus {
            breaker: self.breaker.state(),
            in_progress: self.settings.max_concurrent - self.slots.available_permits(),
            panics: self.tasks.panics(),
            last_error: self.last_error.as_ref().map(ToString::to_string),
        });
        Status { suggestions: *self.counts.lock().unwrap_or_else(PoisonError::into_inner), endpoint }
    }

    async fn on_stop(&mut self) {
        self.tasks.join_all().await;
    }
}

/// Has the endpoint write the five lines.
pub(super) struct WriteLines(pub(super) SuggestionRequest);

impl Message for WriteLines {
    type Output = Vec<String>;
    type Error = WriteError;
}

/// Why the endpoint wrote no lines.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// [`AskError::Busy`] also while the breaker is open.
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("the suggestions endpoint failed: {0}")]
    Endpoint(#[from] EndpointError),
}

impl Handler<WriteLines> for SuggestionEngine {
    fn handle(&mut self, WriteLines(request): WriteLines, reply: ReplyTo<WriteLines>) {
        let Some((endpoint, permit, slot)) = self.try_acquire() else {
            return reply.send(Err(AskError::Busy(NAME).into()));
        };
        let (deadline, handle) = (self.settings.deadline, self.handle.clone());
        let span = reply.span().clone();
        let write = async move {
            let result = timeout(deadline, endpoint.write(&request)).await.unwrap_or(Err(EndpointError::TimedOut));
            drop(slot);
            // Before the caller, which may ask again at once.
            handle.tell(CallEnded { permit, error: result.as_ref().err().cloned() });
            reply.send(result.map_err(WriteError::from));
        };
        self.tasks.spawn(write.instrument(span));
    }
}

/// A call to the endpoint has ended.
struct CallEnded {
    permit: CallPermit,
    error: Option<EndpointError>,
}

impl Message for CallEnded {
    type Output = ();
    type Error = AskError;
}

impl Handler<CallEnded> for SuggestionEngine {
    fn handle(&mut self, CallEnded { permit, error }: CallEnded, _: ReplyTo<CallEnded>) {
        let (now, rng) = (self.clock.now(), &self.rng);
        match (self.breaker.record(permit, error.is_none(), now, rng), &error) {
            (Some(Change::Opened), Some(error)) => {
                tracing::warn!(%error, "the suggestions endpoint kept failing; it is not called for a while");
            }
            (Some(Change::Closed), _) => tracing::info!("the suggestions endpoint answered again"),
            _ => {}
        }
        self.last_error = error.or(self.last_error.take());
    }
}
