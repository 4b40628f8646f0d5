//! Where an actor is reached, now and after every restart; and the one way to ask it.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use ractor::ActorRef;
use serde_json::Value;
use tokio::sync::{Semaphore, oneshot};

use super::{Failure, Permit, actor::Envelope};

/// How an actor answers. Dropped unanswered, as by a panic, it tells the caller so at once.
#[derive(Debug)]
pub struct Reply<T>(oneshot::Sender<T>);

impl<T> Reply<T> {
    /// Answers. When nobody waits any more the answer is dropped.
    pub fn send(self, answer: T) {
        drop(self.0.send(answer));
    }
}

/// The stable address of an actor. Clones lead to the same door; behind it the actor may be replaced.
pub struct Address<M>(Arc<Door<M>>);

struct Door<M> {
    name: &'static str,
    bound: usize,
    deadline: Duration,
    places: Arc<Semaphore>,
    tenant: RwLock<Option<ActorRef<Envelope<M>>>>,
}

impl<M: Send + 'static> Address<M> {
    /// An address where nobody lives yet. At most `bound` letters may lie there unfinished, and who asks waits `deadline` at most.
    pub fn new(name: &'static str, bound: usize, deadline: Duration) -> Self {
        let places = Arc::new(Semaphore::new(bound));
        Self(Arc::new(Door { name, bound, deadline, places, tenant: RwLock::new(None) }))
    }

    /// The actor's name, as in logs.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// Sends the message that `make` builds around a reply, and waits for the answer.
    ///
    /// # Errors
    /// [`Failure::Busy`] when the mailbox is full, [`Failure::Unavailable`] when the actor is not running or dies with the letter,
    /// [`Failure::TimedOut`] at the deadline (what then has not begun is dropped); and what the actor answers.
    pub async fn ask<T, E: From<Failure>>(&self, make: impl FnOnce(Reply<Result<T, E>>) -> M) -> Result<T, E> {
        let door = &*self.0;
        let place = Arc::clone(&door.places).try_acquire_owned().map_err(|_| Failure::Busy(door.name))?;
        let caller = Arc::new(());
        let permit = Permit { _place: Some(place), caller: Some(Arc::downgrade(&caller)) };
        self.exchange(|reply| Envelope::Letter(make(reply), permit)).await
    }

    /// Sends a message that nobody waits for: a wake-up, or the actor's word to itself. It takes no place in the mailbox; what is
    /// told must be safe to lose with the actor.
    pub fn tell(&self, message: M) {
        let permit = Permit { _place: None, caller: None };
        if let Some(tenant) = self.tenant() {
            drop(tenant.send_message(Envelope::Letter(message, permit)));
        }
    }

    /// The actor's observable state.
    ///
    /// # Errors
    /// As [`Address::ask`], but a full mailbox does not stop those who watch.
    pub async fn observe(&self) -> Result<Value, Failure> {
        self.exchange(Envelope::Observe).await
    }

    /// Letters that are not finished.
    pub fn depth(&self) -> usize {
        self.0.bound - self.0.places.available_permits()
    }

    pub fn bound(&self) -> usize {
        self.0.bound
    }

    /// Makes the actor panic at its next letter.
    #[cfg(feature = "test-hooks")]
    pub fn panic(&self) {
        if let Some(tenant) = self.tenant() {
            drop(tenant.send_message(Envelope::Panic));
        }
    }

    async fn exchange<T, E: From<Failure>>(
        &self,
        seal: impl FnOnce(Reply<Result<T, E>>) -> Envelope<M>,
    ) -> Result<T, E> {
        let door = &*self.0;
        let gone = || Failure::Unavailable(door.name);
        let tenant = self.tenant().ok_or_else(gone)?;
        let (reply, answer) = oneshot::channel();
        tenant.send_message(seal(Reply(reply))).map_err(|_| gone())?;
        match tokio::time::timeout(door.deadline, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(gone().into()),
            Err(_) => Err(Failure::TimedOut(door.name).into()),
        }
    }

    fn tenant(&self) -> Option<ActorRef<Envelope<M>>> {
        self.0.tenant.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn move_in(&self, tenant: Option<ActorRef<Envelope<M>>>) {
        *self.0.tenant.write().unwrap_or_else(PoisonError::into_inner) = tenant;
    }
}

impl<M> Clone for Address<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M> fmt::Debug for Address<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.0.name)
    }
}
