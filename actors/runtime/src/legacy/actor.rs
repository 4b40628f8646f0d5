//! An actor: one owner of its state, one letter at a time.

use std::{
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, Weak},
};

use ractor::{ActorProcessingErr, ActorRef};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::{Address, Failure, Reply, panics::caught};
use crate::panics::{PanicPayload as Payload, static_message as words};

/// What lives in a room. Rebuilt from its store at every start, so a restart loses nothing that was answered.
pub trait Actor: Send + 'static {
    /// What it can be asked and told.
    type Message: Send + 'static;

    /// Deals with one letter. Failures travel in replies; a panic ends the actor, and its supervisor starts another.
    ///
    /// The permit is the letter's place in the mailbox: dropped, the place is free. Work that goes on beside the mailbox
    /// takes it along.
    fn receive(&mut self, message: Self::Message, permit: Permit) -> impl Future<Output = ()> + Send;

    /// The last thing it does when it is stopped in good order: finish what it has begun.
    fn stop(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Its state, for those who watch: counts and times, nothing about people.
    fn observe(&self) -> Value {
        Value::Null
    }
}

/// A place in a mailbox, and the knowledge whether the one who asked still waits.
#[derive(Debug)]
pub struct Permit {
    pub(crate) _place: Option<OwnedSemaphorePermit>,
    pub(crate) caller: Option<Weak<()>>,
}

impl Permit {
    /// Whether nobody waits for the answer any more.
    pub fn is_orphaned(&self) -> bool {
        self.caller.as_ref().is_some_and(|caller| caller.strong_count() == 0)
    }
}

/// What lies in a mailbox.
pub(crate) enum Envelope<M> {
    Letter(M, Permit),
    Observe(Reply<Result<Value, Failure>>),
    #[cfg(feature = "test-hooks")]
    Panic,
}

pub(crate) type Starting<A> = Pin<Box<dyn Future<Output = Result<A, Failure>> + Send>>;

/// An actor about to be made, and where it will live. It is reached there from before it is made, so that it can tell itself what to begin
/// with.
pub(crate) struct Birth<A: Actor> {
    pub(crate) address: Address<A::Message>,
    pub(crate) make: Arc<dyn Fn() -> Starting<A> + Send + Sync>,
}

/// Lets an [`Actor`] live in ractor.
pub(crate) struct Body<A>(pub(crate) PhantomData<fn() -> A>);

impl<A: Actor> ractor::Actor for Body<A> {
    type Msg = Envelope<A::Message>;
    type State = A;
    type Arguments = Birth<A>;

    async fn pre_start(&self, myself: ActorRef<Self::Msg>, birth: Birth<A>) -> Result<A, ActorProcessingErr> {
        birth.address.move_in(Some(myself));
        Ok(failed(caught((birth.make)()).await)??)
    }

    async fn handle(
        &self,
        _: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        actor: &mut A,
    ) -> Result<(), ActorProcessingErr> {
        failed(caught(deal_with(envelope, actor)).await)
    }

    async fn post_stop(&self, _: ActorRef<Self::Msg>, actor: &mut A) -> Result<(), ActorProcessingErr> {
        failed(caught(actor.stop()).await)
    }
}

async fn deal_with<A: Actor>(envelope: Envelope<A::Message>, actor: &mut A) {
    match envelope {
        Envelope::Letter(_, permit) if permit.is_orphaned() => {}
        Envelope::Letter(message, permit) => actor.receive(message, permit).await,
        Envelope::Observe(reply) => reply.send(Ok(actor.observe())),
        #[cfg(feature = "test-hooks")]
        Envelope::Panic => panic!("a test asked for this panic"),
    }
}

/// A panic ends the actor; ractor would tell the supervisor its message, whomever that quotes.
fn failed<T>(caught: Result<T, Payload>) -> Result<T, ActorProcessingErr> {
    caught.map_err(|panic| words(&*panic).into())
}
