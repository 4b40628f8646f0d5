//! An actor: one owner of its state, which takes one message at a time.

use std::{future::Future, marker::PhantomData, panic::AssertUnwindSafe, pin::Pin, sync::Arc};

use futures_util::FutureExt as _;
use ractor::{ActorProcessingErr, ActorRef};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::{
    Handle, Message, ReplyTo,
    panics::{PanicPayload, static_message},
};

/// A supervised owner of state. Its factory rebuilds it from the store at every start, so a restart loses nothing that was answered.
///
/// *Guarantees*: messages are handled one at a time; a panic ends this actor alone, and its supervisor starts a new one.
pub trait Actor: Send + Sized + 'static {
    /// The observable state: counts and times, nothing about people.
    type Status: Serialize + JsonSchema + Send + 'static;

    /// Returns the observable state.
    fn status(&self) -> Self::Status;

    /// Finishes the work that has begun. Called when the actor is stopped, after the last message in its mailbox.
    fn on_stop(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// Answers one message type.
pub trait Handler<M: Message>: Actor {
    /// Handles a message: decides, or starts work on the actor's [`TaskSet`](crate::TaskSet). It must not block.
    fn handle(&mut self, message: M, reply: ReplyTo<M>);
}

/// What lies in a mailbox.
pub(crate) enum Envelope<A: Actor> {
    Message(Box<dyn Deliver<A>>),
    Status(oneshot::Sender<A::Status>),
    #[cfg(feature = "test-hooks")]
    Panic,
}

/// A message whose type is erased, with its reply.
pub(crate) trait Deliver<A>: Send {
    fn deliver(self: Box<Self>, actor: &mut A);
}

pub(crate) struct Delivery<M: Message> {
    pub(crate) message: M,
    pub(crate) reply: ReplyTo<M>,
}

impl<M: Message, A: Handler<M>> Deliver<A> for Delivery<M> {
    /// Drops a message whose caller has gone.
    fn deliver(self: Box<Self>, actor: &mut A) {
        let Self { message, mut reply } = *self;
        if reply.caller_gone() {
            return;
        }
        reply.start_handling();
        let span = reply.span().clone();
        span.in_scope(|| actor.handle(message, reply));
    }
}

pub(crate) type ActorFuture<A> = Pin<Box<dyn Future<Output = Result<A, StartError>> + Send>>;
pub(crate) type ActorFactory<A> = Arc<dyn Fn() -> ActorFuture<A> + Send + Sync>;

/// Why an actor did not start.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

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
