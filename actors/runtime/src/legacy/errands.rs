//! Work that an actor has begun and does not wait for.

use std::{future::Future, pin::Pin, time::Duration};

use tokio::task::JoinSet;
use tracing::Instrument;

use faceofmind_base::Rng;

use super::{Address, Permit, Reply};

/// The tasks of one actor. They end with it: who waits for an answer hears at once when the actor dies.
#[derive(Debug, Default)]
pub struct Errands {
    running: JoinSet<()>,
    panicked: u64,
}

impl Errands {
    /// Runs `work` beside the mailbox.
    pub fn run(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.start(Box::pin(work));
    }

    /// Futures that ask a database are large: boxed, they are moved but once, and all are one type to the scheduler.
    fn start(&mut self, work: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.reap();
        self.running.spawn(work.in_current_span());
    }

    /// Runs `work` beside the mailbox and sends what comes of it. The letter keeps its place until then.
    pub fn answer<T: Send + 'static>(
        &mut self,
        reply: Reply<T>,
        permit: Permit,
        work: impl Future<Output = T> + Send + 'static,
    ) {
        self.run(async move {
            reply.send(work.await);
            drop(permit);
        });
    }

    /// Tells the actor at `address` something again and again, about `every` so long; spread, so that many do not tick together. For errands
    /// of their own: it never ends by itself.
    pub fn tell_every<M: Send + 'static>(&mut self, every: Duration, rng: Rng, address: Address<M>, what: fn() -> M) {
        self.run(async move {
            loop {
                tokio::time::sleep(rng.jitter(every)).await;
                address.tell(what());
            }
        });
    }

    /// How many are under way.
    pub fn under_way(&self) -> usize {
        self.running.len()
    }

    /// How many have panicked since the actor started: each cost its own caller the answer, and nobody else.
    pub fn panicked(&self) -> u64 {
        self.panicked
    }

    /// Waits until all are done.
    pub async fn finish(&mut self) {
        while let Some(done) = self.running.join_next().await {
            self.count(&done);
        }
    }

    fn reap(&mut self) {
        while let Some(done) = self.running.try_join_next() {
            self.count(&done);
        }
    }

    fn count(&mut self, done: &Result<(), tokio::task::JoinError>) {
        self.panicked += u64::from(done.as_ref().is_err_and(tokio::task::JoinError::is_panic));
    }
}
