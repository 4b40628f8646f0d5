//! How often something was tried, counted where all nodes see it.
//!
//! Uses that arrive while one round trip is in flight go with the next, all of them in one transaction or one pipeline.

use std::time::Duration;

use faceofmind_base::{Clock, Rng};
use faceofmind_runtime::legacy::{Actor, Address, Errands, Failure, Permit, Reply};
use faceofmind_runtime::{Batch, ChildSpec, FlushId};
use serde_json::{Value, json};

mod round;
mod store;
mod window;

pub use store::{Counters, Taken};
pub use window::{Limit, LimitError, Use};

use self::{
    round::{Call, Round},
    store::Ledger,
    window::{Order, Wanted},
};
use crate::keyed_hash::KeyedHash;

/// How the limiter works.
#[derive(Clone, Copy, Debug)]
pub struct LimiterSettings {
    /// Calls that may wait.
    pub mailbox: usize,
    /// How long a caller waits at most.
    pub deadline: Duration,
    /// Calls that go in one round trip at most.
    pub largest_batch: usize,
    /// Between two sweeps of what is over.
    pub sweep_every: Duration,
    /// Between two looks whether Redis is back.
    pub probe_every: Duration,
    /// Counters kept on this node at most while Redis is away.
    pub node_counters: u64,
}

impl Default for LimiterSettings {
    fn default() -> Self {
        Self {
            mailbox: 2048,
            deadline: Duration::from_secs(5),
            largest_batch: 256,
            sweep_every: Duration::from_secs(600),
            probe_every: Duration::from_secs(1),
            node_counters: 100_000,
        }
    }
}

/// Where limited things ask first. Clones lead to the same limiter.
#[derive(Clone, Debug)]
pub struct Limits(Option<Door>);

#[derive(Clone, Debug)]
struct Door {
    address: Address<Message>,
    ledger: Ledger,
    keys: KeyedHash,
}

impl Limits {
    /// A limiter over `counters`, and the actor to be supervised. Subjects are hashed under `key` (32 bytes or more).
    pub fn new(settings: LimiterSettings, counters: Counters, key: &[u8], clock: Clock, rng: Rng) -> (Self, ChildSpec) {
        let address = Address::new("limiter", settings.mailbox, settings.deadline);
        let ledger = Ledger::new(counters, settings.node_counters, clock);
        let door = Door { address: address.clone(), ledger: ledger.clone(), keys: KeyedHash::new(key, "limits") };
        let child = ChildSpec::legacy(address.clone(), move || {
            let limiter = Limiter::new(settings, ledger.clone(), address.clone(), rng.clone());
            async move { Ok(limiter) }
        });
        (Self(Some(door)), child)
    }

    /// No limits: everything is taken, nothing is counted. For load tests.
    pub fn off() -> Self {
        Self(None)
    }

    /// Counts all `uses`, or none when a limit is reached. Of calls in parallel, no more pass than a limit allows.
    ///
    /// # Errors
    /// [`LimitError::Exceeded`] with the longest of the waits; [`LimitError::Failed`] when they could not be counted.
    pub async fn take(&self, uses: &[Use]) -> Result<Taken, LimitError> {
        let Some(door) = &self.0 else { return Ok(Taken::default()) };
        let order = uses.iter().map(|wanted| door.want(wanted)).collect();
        door.address.ask(|reply| Message::Take(order, reply)).await
    }

    /// Takes back what was counted, as for a right password. Never below zero, and without effect once the window is over. A failure is
    /// logged: the use then stays counted.
    pub async fn give_back(&self, taken: Taken) {
        let Some(door) = &self.0 else { return };
        if taken.counted.is_empty() {
            return;
        }
        if let Err(failure) = door.address.ask(|reply| Message::GiveBack(taken, reply)).await {
            tracing::warn!(%failure, "a use could not be given back");
        }
    }

    /// Whether this node counts for itself, because Redis is away.
    pub fn is_degraded(&self) -> bool {
        self.0.as_ref().is_some_and(|door| door.ledger.is_degraded())
    }

    /// Whether the counters that all nodes see can be reached now; without limits, always.
    pub async fn is_up(&self) -> bool {
        match &self.0 {
            Some(door) => door.ledger.is_up().await,
            None => true,
        }
    }
}

impl Door {
    fn want(&self, wanted: &Use) -> Wanted {
        let Limit { name, most, within } = wanted.limit;
        Wanted { name: self.keys.of(&[name, &wanted.subject]), most, within }
    }
}

enum Message {
    Take(Order, Reply<Result<Taken, LimitError>>),
    GiveBack(Taken, Reply<Result<(), Failure>>),
    Landed(FlushId),
    Sweep,
}

struct Limiter {
    ledger: Ledger,
    batch: Batch<Call>,
    flights: Errands,
    /// What never ends by itself: apart from the flights, which a stop waits for.
    _watches: Errands,
    round_trips: u64,
}

impl Limiter {
    fn new(settings: LimiterSettings, ledger: Ledger, address: Address<Message>, rng: Rng) -> Self {
        let mut watches = Errands::default();
        watches.run(ledger.clone().watch(settings.probe_every, rng.clone()));
        watches.tell_every(settings.sweep_every, rng, address.clone(), || Message::Sweep);
        let batch = Batch::new(settings.largest_batch, move |flight| address.tell(Message::Landed(flight)));
        Self { ledger, batch, flights: Errands::default(), _watches: watches, round_trips: 0 }
    }

    fn take_off(&mut self) {
        if let Some((calls, flight)) = self.batch.start_flush() {
            self.round_trips += 1;
            let ledger = self.ledger.clone();
            self.flights.run(async move {
                Round::from_iter(calls).go(&ledger).await;
                drop(flight);
            });
        }
    }
}

impl Actor for Limiter {
    type Message = Message;

    async fn receive(&mut self, message: Message, permit: Permit) {
        match message {
            Message::Take(order, reply) => self.batch.push(Call::Take(order, (reply, permit))),
            Message::GiveBack(taken, reply) => self.batch.push(Call::GiveBack(taken, (reply, permit))),
            Message::Landed(flight) => self.batch.finish_flush(flight),
            Message::Sweep => self.flights.run(sweep(self.ledger.clone())),
        }
        self.take_off();
    }

    async fn stop(&mut self) {
        self.flights.finish().await;
        while self.batch.pending() > 0 {
            self.batch.reset();
            self.take_off();
            self.flights.finish().await;
        }
    }

    fn observe(&self) -> Value {
        json!({
            "counters": self.ledger.kind(),
            "degraded": self.ledger.is_degraded(),
            "waiting": self.batch.pending(),
            "round_trips": self.round_trips,
            "panicked": self.flights.panicked(),
        })
    }
}

async fn sweep(ledger: Ledger) {
    match ledger.sweep().await {
        Ok(swept) => tracing::debug!(swept, "swept the counters"),
        Err(failure) => tracing::warn!(%failure, "could not sweep the counters"),
    }
}

#[cfg(test)]
mod tests;
