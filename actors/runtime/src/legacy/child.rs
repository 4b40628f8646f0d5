use std::{future::Future, marker::PhantomData, pin::Pin, sync::Arc};

use ractor::{ActorCell, ActorProcessingErr};
use serde_json::Value;

use super::{
    Actor, Address, Failure,
    actor::{Birth, Body, Starting},
};
use crate::{AskError, ChildSpec, RuntimeMetrics, supervisor::child::DynChild};

struct Child<A: Actor> {
    address: Address<A::Message>,
    make: Arc<dyn Fn() -> Starting<A> + Send + Sync>,
}

impl ChildSpec {
    pub fn legacy<A, F, S>(address: Address<A::Message>, make: F) -> Self
    where
        A: Actor,
        F: Fn() -> S + Send + Sync + 'static,
        S: Future<Output = Result<A, Failure>> + Send + 'static,
    {
        Self::erased(Child::<A> { address, make: Arc::new(move || Box::pin(make())) })
    }
}

impl<A: Actor> DynChild for Child<A> {
    fn name(&self) -> &'static str {
        self.address.name()
    }

    fn start(
        &self,
        supervisor: ActorCell,
    ) -> Pin<Box<dyn Future<Output = Result<ActorCell, ActorProcessingErr>> + Send + '_>> {
        Box::pin(async move {
            let birth = Birth { address: self.address.clone(), make: Arc::clone(&self.make) };
            let born = supervisor.spawn_linked(None, Body::<A>(PhantomData), birth).await;
            let (actor, _) = born.inspect_err(|_| self.detach())?;
            Ok(actor.get_cell())
        })
    }

    fn detach(&self) {
        self.address.move_in(None);
    }

    fn queue_len(&self) -> usize {
        self.address.depth()
    }

    fn capacity(&self) -> usize {
        self.address.bound()
    }

    fn set_metrics(&self, _: &RuntimeMetrics) {}

    fn status(&self) -> Pin<Box<dyn Future<Output = Result<Value, AskError>> + Send + '_>> {
        Box::pin(async { self.address.observe().await.map_err(|_| AskError::Unavailable(self.name())) })
    }

    #[cfg(feature = "test-hooks")]
    fn panic(&self) {
        self.address.panic();
    }
}
