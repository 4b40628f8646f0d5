//! The actor: asks the endpoint beside its mailbox, as often as the bound and the breaker allow.

use std::sync::Arc;

use faceofmind_base::{Clock, Rng};
use faceofmind_runtime::legacy::{Actor, Address, Errands, Failure, Permit, Reply};
use serde_json::{Value, json};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    Ask, Message, Settings, Tally,
    breaker::{Breaker, Change, Pass},
    endpoint::{Endpoint, Fault},
};

type Written = Reply<Result<Vec<String>, Failure>>;

pub(super) struct Means {
    pub(super) endpoint: Option<Endpoint>,
    pub(super) address: Address<Message>,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
}

pub(super) struct Room {
    settings: Settings,
    means: Means,
    breaker: Breaker,
    /// A task holds its turn until it is done, also when it panics.
    turns: Arc<Semaphore>,
    last_fault: Option<Fault>,
    tally: Arc<Tally>,
    errands: Errands,
}

impl Room {
    pub(super) fn new(settings: Settings, means: Means, tally: Arc<Tally>) -> Self {
        let breaker = Breaker::new(settings.breaker);
        let turns = Arc::new(Semaphore::new(settings.most_at_once));
        Self { settings, means, breaker, turns, last_fault: None, tally, errands: Errands::default() }
    }

    fn write(&mut self, ask: Ask, reply: Written, permit: Permit) {
        match self.turn() {
            Some((endpoint, pass, turn)) => self.call(endpoint, pass, ask, (reply, permit, turn)),
            None => reply.send(Err(Failure::Busy("suggestions"))),
        }
    }

    /// The right to a call now.
    fn turn(&mut self) -> Option<(Endpoint, Pass, OwnedSemaphorePermit)> {
        let endpoint = self.means.endpoint.clone()?;
        let turn = Arc::clone(&self.turns).try_acquire_owned().ok()?;
        let pass = self.breaker.admit(self.means.clock.now(), &self.means.rng)?;
        Some((endpoint, pass, turn))
    }

    /// The actor hears how it ended before the caller does, who may ask again at once.
    fn call(&mut self, endpoint: Endpoint, pass: Pass, ask: Ask, held: (Written, Permit, OwnedSemaphorePermit)) {
        let (deadline, address) = (self.settings.deadline, self.means.address.clone());
        let (reply, permit, turn) = held;
        self.errands.run(async move {
            let written = timeout(deadline, endpoint.write(&ask)).await.unwrap_or(Err(Fault::TimedOut));
            drop(turn);
            drop(permit);
            address.tell(Message::Heard(pass, written.as_ref().err().cloned()));
            reply.send(written.map_err(failure));
        });
    }

    fn heard(&mut self, pass: Pass, fault: Option<Fault>) {
        let (now, rng) = (self.means.clock.now(), &self.means.rng);
        match (self.breaker.heard(pass, fault.is_none(), now, rng), &fault) {
            (Some(Change::Opened), Some(fault)) => {
                tracing::warn!(%fault, "the suggestions endpoint keeps failing: left alone for a while");
            }
            (Some(Change::Closed), _) => tracing::info!("the suggestions endpoint answers again"),
            _ => {}
        }
        self.last_fault = fault.or(self.last_fault.take());
    }
}

fn failure(fault: Fault) -> Failure {
    Failure::Dependency { service: "suggestions endpoint", reason: fault.to_string() }
}

impl Actor for Room {
    type Message = Message;

    async fn receive(&mut self, message: Message, permit: Permit) {
        match message {
            Message::Write(ask, reply) => self.write(ask, reply, permit),
            Message::Heard(pass, fault) => self.heard(pass, fault),
        }
    }

    async fn stop(&mut self) {
        self.errands.finish().await;
    }

    fn observe(&self) -> Value {
        let mut observed = self.tally.observe();
        observed["endpoint"] = match &self.means.endpoint {
            None => json!("off"),
            Some(_) => json!({
                "breaker": self.breaker.position(),
                "under_way": self.settings.most_at_once - self.turns.available_permits(),
                "panicked": self.errands.panicked(),
                "last_fault": self.last_fault.as_ref().map(ToString::to_string),
            }),
        };
        observed
    }
}
