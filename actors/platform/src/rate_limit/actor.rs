//! The actor: requests that arrive during a round trip to the counters go together in the next one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use faceofmind_base::{Clock, Rng};
use faceofmind_runtime::{
    Actor, AskError, BackgroundTask, BackgroundTaskStatus, Batch, ChildSpec, FlushId, Handle, Handler, Message,
    ReplyTo, TaskSet,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    messages::{Acquire, RateLimitKey, Refund},
    round_trip::{Request, RoundTrip},
    store::{CounterStore, Counters, Reservation},
    window::{CounterRequest, Limit},
};
use crate::keyed_hash::KeyedHash;

pub(super) const NAME: &str = "limiter";

/// The bounds and periods of the rate limiter.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The most requests that wait.
    pub mailbox: usize,
    /// The longest that a caller waits.
    pub deadline: Duration,
    /// The most requests in one round trip.
    pub max_batch: usize,
    /// The period in which expired counters are deleted.
    pub sweep_interval: Duration,
    /// The period in which a lost Redis is tried again.
    pub probe_interval: Duration,
    /// The most counters on this node while Redis is away.
    pub max_local_counters: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mailbox: 2048,
            deadline: Duration::from_secs(5),
            max_batch: 256,
            sweep_interval: Duration::from_secs(600),
            probe_interval: Duration::from_secs(1),
            max_local_counters: 100_000,
        }
    }
}

/// What the rate limiter needs.
pub struct Deps {
    /// Shared by all nodes.
    pub counters: Counters,
    /// Hashes the subjects: 32 bytes or more.
    pub key: Vec<u8>,
    pub clock: Clock,
    pub rng: Rng,
}

/// The actor's observable state.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    /// Where the counters are.
    pub counters: &'static str,
    /// Whether this node counts alone because Redis is away.
    pub degraded: bool,
    /// Requests that wait for the next round trip.
    pub waiting: usize,
    /// How often each limit was found full since the program started, by its name. Also where that refused nothing.
    pub found_full: BTreeMap<&'static str, u64>,
    /// Round trips since the actor started.
    pub round_trips: u64,
    /// Round trips that panicked since the actor started.
    pub panics: u64,
    /// Deletes expired counters.
    pub sweep: BackgroundTaskStatus,
}

pub struct RateLimiter {
    store: CounterStore,
    keys: Arc<KeyedHash>,
    batch: Batch<Request>,
    tasks: TaskSet,
    /// Apart from `tasks`, because it never ends.
    _watch: TaskSet,
    sweep: BackgroundTask,
    round_trips: u64,
}

impl RateLimiter {
    /// Returns the handle, and the actor to supervise.
    pub fn new(settings: Settings, deps: Deps) -> (Handle<Self>, ChildSpec) {
        let Deps { counters, key, clock, rng } = deps;
        let handle = Handle::new(NAME, settings.mailbox, settings.deadline);
        let store = CounterStore::new(counters, settings.max_local_counters, clock.clone());
        let keys = Arc::new(KeyedHash::new(&key, "limits"));
        let own = handle.clone();
        let child = ChildSpec::ready(handle.clone(), move || {
            let (time, handle) = ((clock.clone(), rng.clone()), own.clone());
            let mut watch = TaskSet::default();
            watch.spawn(store.clone().watch(settings.probe_interval, rng.clone()));
            let interval = settings.sweep_interval;
            let sweep = BackgroundTask::spawn("rate_limit_sweep", interval, time, store.clone(), |store| async move {
                store.sweep().await
            });
            let on_flushed = move |flush| handle.tell(Flushed(flush));
            let batch = Batch::new(settings.max_batch, on_flushed).record_sizes(&own);
            let (store, keys) = (store.clone(), Arc::clone(&keys));
            Self { store, keys, batch, tasks: TaskSet::default(), _watch: watch, sweep, round_trips: 0 }
        });
        (handle, child)
    }

    fn flush(&mut self) {
        if let Some((requests, guard)) = self.batch.start_flush() {
            self.round_trips += 1;
            let store = self.store.clone();
            self.tasks.spawn(async move {
                RoundTrip::from_iter(requests).run(&store).await;
                drop(guard);
            });
        }
    }
}

fn counter_request(keys: &KeyedHash, RateLimitKey { limit, subject }: &RateLimitKey) -> CounterRequest {
    let Limit { name, max, window } = *limit;
    CounterRequest { name: keys.of(&[name, subject]), limit: name, max, window }
}

impl Actor for RateLimiter {
    type Status = Status;

    fn status(&self) -> Status {
        Status {
            counters: self.store.kind(),
            degraded: self.store.is_degraded(),
            waiting: self.batch.pending(),
            found_full: self.store.found_full(),
            round_trips: self.round_trips,
            panics: self.tasks.panics(),
            sweep: self.sweep.status(),
        }
    }

    async fn on_stop(&mut self) {
        self.tasks.join_all().await;
        while self.batch.pending() > 0 {
            self.batch.reset();
            self.flush();
            self.tasks.join_all().await;
        }
    }
}

impl Handler<Acquire> for RateLimiter {
    fn handle(&mut self, Acquire(keys): Acquire, reply: ReplyTo<Acquire>) {
        let limited = keys.iter().filter(|key| !key.limit.is_unlimited());
        let counters: Vec<_> = limited.map(|key| counter_request(&self.keys, key)).collect();
        if counters.is_empty() {
            return reply.send(Ok(Reservation::default()));
        }
        self.batch.push(Request::Acquire(counters, reply));
        self.flush();
    }
}

impl Handler<Refund> for RateLimiter {
    fn handle(&mut self, Refund(reservation): Refund, reply: ReplyTo<Refund>) {
        if reservation.is_empty() {
            return reply.send(Ok(()));
        }
        self.batch.push(Request::Refund(reservation, reply));
        self.flush();
    }
}

impl Handler<Flushed> for RateLimiter {
    fn handle(&mut self, Flushed(flush): Flushed, _: ReplyTo<Flushed>) {
        self.batch.finish_flush(flush);
        self.flush();
    }
}

/// A round trip has ended.
struct Flushed(FlushId);

impl Message for Flushed {
    type Output = ();
    type Error = AskError;
}

/// Deletes expired counters now.
#[cfg(test)]
pub(super) struct Sweep;

#[cfg(test)]
impl Message for Sweep {
    type Output = ();
    type Error = AskError;
}

#[cfg(test)]
impl Handler<Sweep> for RateLimiter {
    fn handle(&mut self, _: Sweep, _: ReplyTo<Sweep>) {
        self.sweep.run_now();
    }
}
