//! A child as its supervisor sees it: how to start it, and what may be seen of it, whatever its messages are.

use std::{fmt, future::Future, marker::PhantomData, pin::Pin, sync::Arc};

use ractor::{ActorCell, ActorProcessingErr};
use serde_json::Value;

use crate::{
    Actor, Address, Failure,
    actor::{Body, Starting},
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

struct Room<A: Actor, F> {
    address: Address<A::Message>,
    make: F,
}

impl Child {
    /// An actor that lives at `address` and that `make` makes at every start, reading what it needs from its store.
    pub fn new<A, F, S>(address: Address<A::Message>, make: F) -> Self
    where
        A: Actor,
        F: Fn() -> S + Send + Sync + 'static,
        S: Future<Output = Result<A, Failure>> + Send + 'static,
    {
        Self(Arc::new(Room::<A, _> { address, make: move || -> Starting<A> { Box::pin(make()) } }))
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

impl<A, F> Kept for Room<A, F>
where
    A: Actor,
    F: Fn() -> Starting<A> + Send + Sync,
{
    fn name(&self) -> &'static str {
        self.address.name()
    }

    fn start(&self, supervisor: ActorCell) -> Pending<'_, Result<ActorCell, ActorProcessingErr>> {
        Box::pin(async move {
            let (actor, _) = supervisor.spawn_linked(None, Body::<A>(PhantomData), (self.make)()).await?;
            self.address.move_in(Some(actor.clone()));
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
