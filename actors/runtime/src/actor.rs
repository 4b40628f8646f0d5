//! An actor: one owner of its state, which takes one message at a time.

use std::future::Future;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::{Message, ReplyTo};

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
    /// Drops a message whose caller has gone, and one that has waited for too long.
    fn deliver(self: Box<Self>, actor: &mut A) {
        let Self { message, mut reply } = *self;
        if reply.caller_gone() || reply.withdraw_if_late() {
            return;
        }
        reply.start_handling();
        let span = reply.span().clone();
        span.in_scope(|| actor.handle(message, reply));
    }
}
