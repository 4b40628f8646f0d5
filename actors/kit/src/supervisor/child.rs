//! A child as its supervisor sees it: how to start it, and what may be seen of it, whatever its messages are.

use std::{fmt, future::Future, marker::PhantomData, pin::Pin, sync::Arc};

use ractor::{ActorCell, ActorProcessingErr};
use serde_json::Value;

use crate::{
    Actor, Address, Failure,
    actor::{Birth, Body, Starting},
};

type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An actor to be supervised: its address, and how to make it, each time anew.
#[derive(Clone)]
pub struct Child(Arc<dyn Kept>);

trait Kept: Send + Sync {
    fn name(&self) -> &'static str;
    fn start(&self, supervisor: ActorCell) -> Pending<'_, Result<ActorCell, ActorProcessingErr>>;
    fn vacate(&self);
    fn depth(&self) -> usize;
    fn observe(&self) -> Pending<'_, Result<Value, Failure>>;
    #[cfg(feature = "test-hooks")]
    fn panic(&self);
}

struct Room<A: Actor> {
    address: Address<A::Message>,
    make: Arc<dyn Fn() -> Starting<A> + Send + Sync>,
}

impl Child {
    /// An actor that lives at `address` and that `make` makes at every start, reading what it needs from its store. It is reached at its
    /// address already while it is made: what it is told then, it hears first.
    pub fn new<A, F, S>(address: Address<A::Message>, make: F) -> Self
    where
        A: Actor,
        F: Fn() -> S + Send + Sync + 'static,
        S: Future<Output = Result<A, Failure>> + Send + 'static,
    {
        Self(Arc::new(Room::<A> { address, make: Arc::new(move || Box::pin(make())) }))
    }

    /// Its name, as in logs and metrics.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// Letters in its mailbox that are not finished.
    pub fn depth(&self) -> usize {
        self.0.depth()
    }

    /// Its observable state.
    ///
    /// # Errors
    /// When it is not running or does not answer in time.
    pub async fn observe(&self) -> Result<Value, Failure> {
        self.0.observe().await
    }

    /// Makes it panic at its next letter.
    #[cfg(feature = "test-hooks")]
    pub fn panic(&self) {
        self.0.panic();
    }

    pub(super) async fn start(&self, supervisor: ActorCell) -> Result<ActorCell, ActorProcessingErr> {
        self.0.start(supervisor).await
    }

    pub(super) fn vacate(&self) {
        self.0.vacate();
    }
}

impl<A: Actor> Kept for Room<A> {
    fn name(&self) -> &'static str {
        self.address.name()
    }

    fn start(&self, supervisor: ActorCell) -> Pending<'_, Result<ActorCell, ActorProcessingErr>> {
        Box::pin(async move {
            let birth = Birth { address: self.address.clone(), make: Arc::clone(&self.make) };
            let born = supervisor.spawn_linked(None, Body::<A>(PhantomData), birth).await;
            let (actor, _) = born.inspect_err(|_| self.vacate())?;
            Ok(actor.get_cell())
        })
    }

    fn vacate(&self) {
        self.address.move_in(None);
    }

    fn depth(&self) -> usize {
        self.address.depth()
    }

    fn observe(&self) -> Pending<'_, Result<Value, Failure>> {
        Box::pin(self.address.observe())
    }

    #[cfg(feature = "test-hooks")]
    fn panic(&self) {
        self.address.panic();
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Child({})", self.name())
    }
}
