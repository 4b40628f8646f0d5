//! A child as its supervisor sees it, whatever its messages are.

use std::{fmt, marker::PhantomData, sync::Arc};

use futures_util::future::BoxFuture;
use ractor::{ActorCell, ActorProcessingErr};
use serde_json::Value;

use crate::{
    Actor, AskError, Handle, RuntimeMetrics,
    adapter::{ActorFactory, RactorAdapter, SpawnArgs, StartError},
};

/// An actor to supervise: its handle, and the factory that makes it at every start.
#[derive(Clone)]
pub struct ChildSpec(Arc<dyn DynChild>);

pub(crate) trait DynChild: Send + Sync {
    fn name(&self) -> &'static str;
    fn start(&self, supervisor: ActorCell) -> BoxFuture<'_, Result<ActorCell, ActorProcessingErr>>;
    fn detach(&self);
    fn queue_len(&self) -> usize;
    fn capacity(&self) -> usize;
    fn set_metrics(&self, metrics: &RuntimeMetrics);
    fn status(&self) -> BoxFuture<'_, Result<Value, AskError>>;
    #[cfg(feature = "test-hooks")]
    fn panic(&self);
}

struct Child<A: Actor> {
    handle: Handle<A>,
    factory: ActorFactory<A>,
}

impl ChildSpec {
    /// Returns the spec of the actor that `factory` makes at every start from what it reads in its store.
    ///
    /// The handle is attached before `factory` runs: messages that it sends to itself there are its first ones.
    pub fn new<A, F, S>(handle: Handle<A>, factory: F) -> Self
    where
        A: Actor,
        F: Fn() -> S + Send + Sync + 'static,
        S: Future<Output = Result<A, StartError>> + Send + 'static,
    {
        Self(Arc::new(Child { handle, factory: Arc::new(move || Box::pin(factory())) }))
    }

    /// Returns the spec of an actor that `factory` makes without waiting for anything.
    pub fn ready<A: Actor>(handle: Handle<A>, factory: impl Fn() -> A + Send + Sync + 'static) -> Self {
        Self::new(handle, move || std::future::ready(Ok(factory())))
    }

    /// The actor's name, as in logs and metrics.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// Unfinished requests: queued or in progress.
    pub fn queue_len(&self) -> usize {
        self.0.queue_len()
    }

    /// The most unfinished requests that the mailbox holds.
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Returns the actor's observable state as JSON.
    ///
    /// # Errors
    /// [`AskError`] when the actor is not running or does not answer in time.
    pub async fn status(&self) -> Result<Value, AskError> {
        self.0.status().await
    }

    /// Makes the actor panic at its next message.
    #[cfg(feature = "test-hooks")]
    pub fn panic(&self) {
        self.0.panic();
    }

    pub(super) fn set_metrics(&self, metrics: &RuntimeMetrics) {
        self.0.set_metrics(metrics);
    }

    pub(super) async fn start(&self, supervisor: ActorCell) -> Result<ActorCell, ActorProcessingErr> {
        self.0.start(supervisor).await
    }

    pub(super) fn detach(&self) {
        self.0.detach();
    }
}

impl<A: Actor> DynChild for Child<A> {
    fn name(&self) -> &'static str {
        self.handle.name()
    }

    fn start(&self, supervisor: ActorCell) -> BoxFuture<'_, Result<ActorCell, ActorProcessingErr>> {
        Box::pin(async move {
            let args = SpawnArgs { handle: self.handle.clone(), factory: Arc::clone(&self.factory) };
            let spawned = supervisor.spawn_linked(None, RactorAdapter::<A>(PhantomData), args).await;
            let (actor, _) = spawned.inspect_err(|_| self.detach())?;
            Ok(actor.get_cell())
        })
    }

    fn detach(&self) {
        self.handle.attach(None);
    }

    fn queue_len(&self) -> usize {
        self.handle.queue_len()
    }

    fn capacity(&self) -> usize {
        self.handle.capacity()
    }

    fn set_metrics(&self, metrics: &RuntimeMetrics) {
        self.handle.set_metrics(metrics);
    }

    fn status(&self) -> BoxFuture<'_, Result<Value, AskError>> {
        Box::pin(async {
            let status = self.handle.status().await?;
            Ok(serde_json::to_value(status).unwrap_or_default())
        })
    }

    #[cfg(feature = "test-hooks")]
    fn panic(&self) {
        self.handle.panic();
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChildSpec({})", self.name())
    }
}
