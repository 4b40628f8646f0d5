//! How an [`Actor`] runs in ractor.

use std::{future::Future, marker::PhantomData, panic::AssertUnwindSafe, pin::Pin, sync::Arc};

use futures_util::FutureExt as _;
use ractor::{ActorProcessingErr, ActorRef};

use crate::{
    Actor, Handle,
    actor::Envelope,
    panics::{PanicPayload, static_message},
};

pub(crate) type ActorFuture<A> = Pin<Box<dyn Future<Output = Result<A, StartError>> + Send>>;
pub(crate) type ActorFactory<A> = Arc<dyn Fn() -> ActorFuture<A> + Send + Sync>;

/// Why an actor did not start.
pub(crate) type StartError = Box<dyn std::error::Error + Send + Sync>;

/// What a new actor needs. Its handle is attached before the actor is made, so that the factory may send it its first messages.
pub(crate) struct SpawnArgs<A: Actor> {
    pub(crate) handle: Handle<A>,
    pub(crate) factory: ActorFactory<A>,
}

/// Runs an [`Actor`] in ractor.
pub(crate) struct RactorAdapter<A>(pub(crate) PhantomData<fn() -> A>);

impl<A: Actor> ractor::Actor for RactorAdapter<A> {
    type Msg = Envelope<A>;
    type State = A;
    type Arguments = SpawnArgs<A>;

    async fn pre_start(&self, myself: ActorRef<Self::Msg>, args: SpawnArgs<A>) -> Result<A, ActorProcessingErr> {
        args.handle.attach(Some(myself));
        into_processing_err(AssertUnwindSafe((args.factory)()).catch_unwind().await)?
    }

    async fn handle(
        &self,
        _: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        actor: &mut A,
    ) -> Result<(), ActorProcessingErr> {
        into_processing_err(std::panic::catch_unwind(AssertUnwindSafe(|| dispatch(envelope, actor))))
    }

    async fn post_stop(&self, _: ActorRef<Self::Msg>, actor: &mut A) -> Result<(), ActorProcessingErr> {
        into_processing_err(AssertUnwindSafe(actor.on_stop()).catch_unwind().await)
    }
}

fn dispatch<A: Actor>(envelope: Envelope<A>, actor: &mut A) {
    match envelope {
        Envelope::Message(message) => message.deliver(actor),
        Envelope::Status(reply) => drop(reply.send(actor.status())),
        #[cfg(feature = "test-hooks")]
        Envelope::Panic => panic!("a test asked for this panic"),
    }
}

/// A panic ends the actor. ractor would pass the panic's message to the supervisor; it may quote what a person wrote, so only a message
/// from the source goes on.
fn into_processing_err<T>(result: Result<T, PanicPayload>) -> Result<T, ActorProcessingErr> {
    result.map_err(|panic| static_message(&*panic).into())
}
