//! How an actor is reached, now and after every restart.

use std::{
    fmt,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use faceofmind_base::WriteGate;
use ractor::ActorRef;
use tokio::sync::{Semaphore, oneshot};

use crate::{
    Actor, AskError, Handler, Message, ReplyTo, RuntimeMetrics,
    actor::{Delivery, Envelope},
    metrics::{MessageMetrics, Outcome, OutcomeGuard},
};

/// How long a caller waits beyond its deadline for the outcome of a write that has begun. A transaction ends within this time: each of its
/// statements has a deadline of its own.
const OUTCOME_WAIT: Duration = Duration::from_secs(20);

/// A handle to a supervised actor. Clones are cheap, and the handle stays valid across restarts.
pub struct Handle<A: Actor>(Arc<Inner<A>>);

struct Inner<A: Actor> {
    name: &'static str,
    capacity: usize,
    deadline: Duration,
    permits: Arc<Semaphore>,
    actor_ref: RwLock<Option<ActorRef<Envelope<A>>>>,
    metrics: OnceLock<RuntimeMetrics>,
}

impl<A: Actor> Handle<A> {
    /// Returns a handle without an actor yet. Its mailbox holds at most `capacity` unfinished requests, and a caller waits for
    /// `deadline` at most.
    pub fn new(name: &'static str, capacity: usize, deadline: Duration) -> Self {
        let permits = Arc::new(Semaphore::new(capacity));
        let (actor_ref, metrics) = (RwLock::new(None), OnceLock::new());
        Self(Arc::new(Inner { name, capacity, deadline, permits, actor_ref, metrics }))
    }

    /// The actor's name, as in logs and metrics.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// Asks the actor, and waits for its reply.
    ///
    /// # Errors
    /// [`AskError::Busy`] when the mailbox is full, [`AskError::Unavailable`] when the actor is not running or dies before it replies,
    /// [`AskError::TimedOut`] at the deadline, or after [`MAX_QUEUED`](crate::MAX_QUEUED) in the mailbox: a request that has not begun to write
    /// by then never does. [`AskError::OutcomeUnknown`] when the
    /// outcome of a write that has begun does not come. And the actor's own errors.
    pub async fn ask<M: Message>(&self, message: M) -> Result<M::Output, M::Error>
    where
        A: Handler<M>,
    {
        let metrics = self.metrics_of::<M>();
        let mut guard = OutcomeGuard { metrics: metrics.clone(), outcome: Outcome::Abandoned };
        let reply = self.send_and_await(message, metrics).await;
        guard.outcome = match &reply {
            Ok(Ok(_)) => Outcome::Ok,
            Ok(Err(_)) => Outcome::Refused,
            Err((_, outcome)) => *outcome,
        };
        reply.unwrap_or_else(|(error, _)| Err(error.into()))
    }

    async fn send_and_await<M: Message>(
        &self,
        message: M,
        metrics: Option<MessageMetrics>,
    ) -> Result<Result<M::Output, M::Error>, (AskError, Outcome)>
    where
        A: Handler<M>,
    {
        let Inner { name, deadline, permits, .. } = &*self.0;
        let busy = (AskError::Busy(name), Outcome::Busy);
        let unavailable = (AskError::Unavailable(name), Outcome::Unavailable);
        let permit = Arc::clone(permits).try_acquire_owned().map_err(|_| busy)?;
        let span = tracing::debug_span!("message", actor = name, message = M::name());
        // Without the span, the work still belongs to the request, whose id its log lines carry.
        let span = if span.is_disabled() { tracing::Span::current() } else { span };
        let ((sender, mut reply), gate) = (oneshot::channel(), WriteGate::default());
        let actor_ref = self.actor_ref().ok_or(unavailable)?;
        let delivery =
            Delivery { message, reply: ReplyTo::new(Some(sender), Some(permit), gate.clone(), span, metrics) };
        actor_ref.send_message(Envelope::Message(Box::new(delivery))).map_err(|_| unavailable)?;
        let replied = match tokio::time::timeout(M::DEADLINE.unwrap_or(*deadline), &mut reply).await {
            Ok(replied) => replied,
            Err(_) if gate.withdraw() => return Err((AskError::TimedOut(name), Outcome::TimedOut)),
            Err(_) => match tokio::time::timeout(OUTCOME_WAIT, reply).await {
                Ok(replied) => replied,
                Err(_) => return Err((AskError::OutcomeUnknown(name), Outcome::Unknown)),
            },
        };
        replied.map_err(|_| match gate {
            gate if gate.is_withdrawn() => (AskError::TimedOut(name), Outcome::TimedOut),
            gate if gate.has_begun() => (AskError::OutcomeUnknown(name), Outcome::Panicked),
            _ => (AskError::Unavailable(name), Outcome::Panicked),
        })
    }

    /// Sends a message without waiting for a reply: a wake-up, or an actor's message to itself. It takes no place in the mailbox. It is
    /// lost with the actor, so that must be harmless.
    pub fn tell<M: Message>(&self, message: M)
    where
        A: Handler<M>,
    {
        if let Some(actor_ref) = self.actor_ref() {
            let metrics = self.metrics_of::<M>();
            let _sent = OutcomeGuard { metrics: metrics.clone(), outcome: Outcome::Ok };
            let reply = ReplyTo::new(None, None, WriteGate::default(), tracing::Span::current(), metrics);
            drop(actor_ref.send_message(Envelope::Message(Box::new(Delivery { message, reply }))));
        }
    }

    /// Returns the actor's observable state. A full mailbox does not refuse it.
    ///
    /// # Errors
    /// [`AskError::Unavailable`], [`AskError::TimedOut`].
    pub async fn status(&self) -> Result<A::Status, AskError> {
        let unavailable = AskError::Unavailable(self.0.name);
        let (sender, reply) = oneshot::channel();
        let actor_ref = self.actor_ref().ok_or(unavailable)?;
        actor_ref.send_message(Envelope::Status(sender)).map_err(|_| unavailable)?;
        match tokio::time::timeout(self.0.deadline, reply).await {
            Ok(status) => status.map_err(|_| unavailable),
            Err(_) => Err(AskError::TimedOut(self.0.name)),
        }
    }

    /// The number of unfinished requests: queued or in progress.
    pub fn queue_len(&self) -> usize {
        self.0.capacity - self.0.permits.available_permits()
    }

    /// The most unfinished requests that the mailbox holds.
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }

    /// Makes the actor panic at its next message.
    #[cfg(feature = "test-hooks")]
    pub fn panic(&self) {
        if let Some(actor_ref) = self.actor_ref() {
            drop(actor_ref.send_message(Envelope::Panic));
        }
    }

    /// Counts this actor's messages in `metrics` from now on.
    pub(crate) fn set_metrics(&self, metrics: &RuntimeMetrics) {
        let _set_before = self.0.metrics.set(metrics.clone());
    }

    pub(crate) fn attach(&self, actor_ref: Option<ActorRef<Envelope<A>>>) {
        *self.0.actor_ref.write().unwrap_or_else(PoisonError::into_inner) = actor_ref;
    }

    /// Records the number of commands that one flush writes, in the metrics of the actor.
    pub fn record_batch_size(&self, size: usize) {
        if let Some(metrics) = self.0.metrics.get() {
            metrics.record_batch_size(self.0.name, size);
        }
    }

    fn metrics_of<M: Message>(&self) -> Option<MessageMetrics> {
        self.0.metrics.get().map(|metrics| metrics.of(self.0.name, M::name()))
    }

    fn actor_ref(&self) -> Option<ActorRef<Envelope<A>>> {
        self.0.actor_ref.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<A: Actor> Clone for Handle<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Actor> fmt::Debug for Handle<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", self.0.name)
    }
}
