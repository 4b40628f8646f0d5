//! The actor: its workers, their memory, and the queue in front of them.

use std::time::Duration;

use argon2::Params;
use faceofmind_base::Rng;
use faceofmind_runtime::{Actor, AskError, Caller, ChildSpec, FairQueue, Handle, Handler, Message, ReplyTo, TaskSet};
use prometheus_client::metrics::histogram::Histogram;
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use tokio::time::Instant;

use super::{
    argon::{ArgonMemory, Cost},
    messages::{HashNewPassword, HashPassword, NewPasswordError, VerifyPassword},
    strength, verify,
};

/// Upper bounds of the histogram of hash times, in seconds. A hash at the default cost takes 20 to 100 ms, and one that another program made up to
/// 4 s.
pub const TIME_BUCKETS: [f64; 10] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0];
const NAME: &str = "hasher";
/// Places in the mailbox beyond the queue, so that a newcomer reaches a full queue, in which the caller with most waiting gives way.
const NEWCOMERS: usize = 64;
/// Idle memory is released after this time without work.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The bounds of hashing.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The cost of one hash.
    pub cost: Cost,
    /// The most hashes at a time: one a core.
    pub workers: usize,
    /// The most passwords that wait, by turns between callers. A password counts as often as its hash takes the time of a new one. Beyond that the
    /// newest of the caller with most waiting gets [`AskError::OverShare`] at once, or a newcomer [`AskError::Busy`].
    pub queue: usize,
    /// The longest that a caller waits.
    pub deadline: Duration,
}

/// What the hasher needs.
#[derive(Clone, Debug)]
pub struct Deps {
    /// Makes salts.
    pub rng: Rng,
    /// Observes the seconds that each hash takes a worker.
    pub hash_time: Histogram,
}

/// The actor's observable state.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    /// Passwords that wait for a worker.
    pub waiting: usize,
    /// Workers without work.
    pub free_workers: usize,
    /// Hashes begun since the actor started.
    pub started: u64,
    /// Memory blocks of idle workers, which are kept for the next hash.
    pub idle_memory: usize,
}

pub struct PasswordHasher {
    waiting: FairQueue<Job>,
    idle: Vec<ArgonMemory>,
    free_workers: usize,
    last_finished: Instant,
    release_scheduled: bool,
    started: u64,
    tasks: TaskSet,
    params: Params,
    deps: Deps,
    handle: Handle<Self>,
}

impl PasswordHasher {
    /// Returns the handle, and the actor to supervise.
    ///
    /// # Errors
    /// Argon2 does not allow the cost.
    pub fn new(settings: Settings, deps: Deps) -> Result<(Handle<Self>, ChildSpec), String> {
        let params = settings.cost.params()?;
        let handle = Handle::new(NAME, settings.queue + settings.workers + NEWCOMERS, settings.deadline);
        let own = handle.clone();
        let child = ChildSpec::ready(handle.clone(), move || Self {
            waiting: FairQueue::new(settings.queue),
            idle: Vec::new(),
            free_workers: settings.workers,
            last_finished: Instant::now(),
            release_scheduled: false,
            started: 0,
            tasks: TaskSet::default(),
            params: params.clone(),
            deps: deps.clone(),
            handle: own.clone(),
        });
        Ok((handle, child))
    }

    fn queue(&mut self, caller: Caller, job: Job) {
        if self.free_workers > 0 {
            return self.start(job);
        }
        let weight = job.weight(&self.params);
        if !self.waiting.has_places_for(weight) {
            self.waiting.retain(|job| !job.caller_gone());
        }
        for displaced in self.waiting.push_weighted(caller, weight, job) {
            let error = displaced.error(NAME);
            displaced.work.refuse(error);
        }
    }

    fn start_jobs(&mut self) {
        while self.free_workers > 0 {
            let Some(job) = self.waiting.pop() else { return };
            if !job.caller_gone() {
                self.start(job);
            }
        }
    }

    fn start(&mut self, job: Job) {
        self.free_workers -= 1;
        self.started += 1;
        let mut memory = self.idle.pop().unwrap_or_default();
        let (params, deps, handle) = (self.params.clone(), self.deps.clone(), self.handle.clone());
        self.tasks.spawn(async move {
            let working = tokio::task::spawn_blocking(move || {
                job.run(&mut memory, &params, &deps);
                memory
            });
            handle.tell(Finished(working.await.ok()));
        });
    }

    fn schedule_release(&mut self) {
        if !self.release_scheduled {
            self.release_scheduled = true;
            let handle = self.handle.clone();
            self.tasks.spawn(async move {
                tokio::time::sleep(IDLE_TIMEOUT).await;
                handle.tell(ReleaseMemory);
            });
        }
    }
}

impl Actor for PasswordHasher {
    type Status = Status;

    fn status(&self) -> Status {
        Status {
            waiting: self.waiting.len(),
            free_workers: self.free_workers,
            started: self.started,
            idle_memory: self.idle.len(),
        }
    }
}

impl Handler<HashPassword> for PasswordHasher {
    fn handle(&mut self, message: HashPassword, reply: ReplyTo<HashPassword>) {
        self.queue(message.caller.clone(), Job::Hash(message, reply));
    }
}

impl Handler<HashNewPassword> for PasswordHasher {
    fn handle(&mut self, message: HashNewPassword, reply: ReplyTo<HashNewPassword>) {
        self.queue(message.caller.clone(), Job::RateAndHash(message, reply));
    }
}

impl Handler<VerifyPassword> for PasswordHasher {
    fn handle(&mut self, message: VerifyPassword, reply: ReplyTo<VerifyPassword>) {
        self.queue(message.caller.clone(), Job::Verify(message, reply));
    }
}

impl Handler<Finished> for PasswordHasher {
    fn handle(&mut self, Finished(memory): Finished, _: ReplyTo<Finished>) {
        self.idle.extend(memory);
        self.free_workers += 1;
        self.last_finished = Instant::now();
        self.schedule_release();
        self.start_jobs();
    }
}

impl Handler<ReleaseMemory> for PasswordHasher {
    fn handle(&mut self, _: ReleaseMemory, _: ReplyTo<ReleaseMemory>) {
        self.release_scheduled = false;
        if self.last_finished.elapsed() < IDLE_TIMEOUT {
            self.schedule_release();
        } else {
            self.idle = Vec::new();
        }
    }
}

/// A password that waits for a worker, with its place in the mailbox.
enum Job {
    Hash(HashPassword, ReplyTo<HashPassword>),
    RateAndHash(HashNewPassword, ReplyTo<HashNewPassword>),
    Verify(VerifyPassword, ReplyTo<VerifyPassword>),
}

impl Job {
    /// How many hashes at the current cost take the same time. A hash that another program made may take that of many.
    fn weight(&self, params: &Params) -> usize {
        match self {
            Self::Hash(..) | Self::RateAndHash(..) => 1,
            Self::Verify(VerifyPassword { hash, .. }, _) => verify::weight(hash.as_ref(), params),
        }
    }

    fn caller_gone(&self) -> bool {
        match self {
            Self::Hash(_, reply) => reply.caller_gone(),
            Self::RateAndHash(_, reply) => reply.caller_gone(),
            Self::Verify(_, reply) => reply.caller_gone(),
        }
    }

    fn refuse(self, error: AskError) {
        match self {
            Self::Hash(_, reply) => reply.send(Err(error)),
            Self::RateAndHash(_, reply) => reply.send(Err(error.into())),
            Self::Verify(_, reply) => reply.send(Err(error)),
        }
    }

    fn run(self, memory: &mut ArgonMemory, params: &Params, deps: &Deps) {
        let mut new_hash = |password: &SecretString| timed(deps, || memory.hash(params, password, &deps.rng));
        match self {
            Self::Hash(HashPassword { password, .. }, reply) => reply.send(Ok(new_hash(&password))),
            Self::RateAndHash(HashNewPassword { password, min_score, own_words, .. }, reply) => {
                let is_weak = min_score > 0 && strength::score(password.expose_secret(), &own_words) < min_score;
                reply.send(if is_weak { Err(NewPasswordError::TooWeak) } else { Ok(new_hash(&password)) });
            }
            Self::Verify(VerifyPassword { password, hash, .. }, reply) => {
                reply.send(Ok(timed(deps, || verify::verify(memory, params, &password, hash.as_ref()))));
            }
        }
    }
}

/// Observes how long a hash takes.
fn timed<T>(deps: &Deps, hash: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let hashed = hash();
    deps.hash_time.observe(begun.elapsed().as_secs_f64());
    hashed
}

/// A worker has finished. It gives its memory back, unless it panicked.
struct Finished(Option<ArgonMemory>);

impl Message for Finished {
    type Output = ();
    type Error = AskError;
}

/// The idle timeout may have passed.
struct ReleaseMemory;

impl Message for ReleaseMemory {
    type Output = ();
    type Error = AskError;
}

#[cfg(test)]
mod tests {
    use faceofmind_base::Clock;
    use faceofmind_runtime::SupervisorHandle;
    use secrecy::SecretString;

    use super::*;
    use crate::{password_hasher::PasswordHash, testing};

    async fn hasher(queue: usize) -> (Handle<PasswordHasher>, SupervisorHandle) {
        hasher_with(64, queue).await
    }

    async fn hasher_with(memory_kib: u32, queue: usize) -> (Handle<PasswordHasher>, SupervisorHandle) {
        let cost = Cost { memory_kib, ..Cost::default() };
        let settings = Settings { cost, workers: 1, queue, deadline: Duration::from_secs(20) };
        let deps = Deps { rng: Rng::system(), hash_time: Histogram::new([1.0]) };
        let (hasher, child) = PasswordHasher::new(settings, deps).expect("an allowed cost");
        (hasher, testing::supervise(vec![child], &Clock::system()).await)
    }

    fn password() -> SecretString {
        SecretString::from("correct horse".to_owned())
    }

    fn hash() -> HashPassword {
        hash_of("a caller")
    }

    fn hash_of(caller: &str) -> HashPassword {
        HashPassword { caller: Caller::alone(caller), password: password() }
    }

    #[tokio::test]
    async fn hashes_and_compares() {
        let (hasher, _tree) = hasher(4).await;
        let hash = hasher.ask(hash()).await.expect("hashes");
        let verify = async |hash| {
            hasher
                .ask(VerifyPassword { caller: Caller::alone("a caller"), password: password(), hash })
                .await
                .expect("compares")
        };
        assert!(verify(Some(hash)).await.matches);
        assert!(!verify(None).await.matches);
    }

    #[tokio::test]
    async fn beyond_the_queue_callers_are_refused_at_once() {
        let (hasher, tree) = hasher(1).await;
        // On one thread nothing is hashed before all four have asked.
        let (first, second, third, fourth) =
            tokio::join!(hasher.ask(hash()), hasher.ask(hash()), hasher.ask(hash()), hasher.ask(hash()));
        assert!(first.is_ok() && second.is_ok(), "one is in progress, one waits");
        for refused in [third, fourth] {
            assert!(matches!(refused, Err(AskError::OverShare("hasher"))), "{refused:?}");
        }
        let freed = async {
            while tree.snapshot()[0].queue_len > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), freed).await.expect("their places are free again");
    }

    #[tokio::test]
    async fn a_hash_that_takes_the_time_of_many_takes_as_many_places() {
        let (hasher, _tree) = hasher(12).await;
        let verify = |caller: &str| {
            let hash = "$2b$12$QKQ8lYH7c9FwDpRYRXxEtOa/ZZYJ32ZSTavT4L7.sBiAhcGeuDFBC";
            let (caller, hash) = (Caller::alone(caller), Some(PasswordHash::stored(hash.to_owned())));
            VerifyPassword { caller, password: SecretString::from("password123".to_owned()), hash }
        };
        // On one thread nothing is hashed before all have asked. Each bcrypt counts for eight.
        let (first, second, third, fourth) = tokio::join!(
            hasher.ask(verify("a")),
            hasher.ask(verify("b")),
            hasher.ask(verify("c")),
            hasher.ask(hash_of("d"))
        );
        assert!(first.is_ok_and(|outcome| outcome.matches) && second.is_ok_and(|outcome| outcome.matches));
        assert!(matches!(third, Err(AskError::Busy("hasher"))), "{third:?}");
        fourth.expect("four places are left");
    }

    #[tokio::test]
    async fn a_newcomer_takes_no_place_of_an_equal_caller() {
        let (hasher, _tree) = hasher(1).await;
        let (first, second, third) =
            tokio::join!(hasher.ask(hash_of("a")), hasher.ask(hash_of("b")), hasher.ask(hash_of("c")));
        assert!(first.is_ok() && second.is_ok(), "one is in progress, one waits");
        assert!(matches!(third, Err(AskError::Busy("hasher"))), "{third:?}");
    }

    #[tokio::test]
    async fn a_caller_that_fills_the_queue_delays_others_by_one_hash_and_gives_way() {
        // A hash takes tens of milliseconds, so that all have asked before the first one ends.
        let (hasher, _tree) = hasher_with(64 << 10, 8).await;
        let flood: Vec<_> = (0..9)
            .map(|_| {
                let hasher = hasher.clone();
                tokio::spawn(async move { hasher.ask(hash_of("flood")).await })
            })
            .collect();
        testing::until("eight wait", async || hasher.status().await.is_ok_and(|status| status.waiting == 8)).await;
        hasher.ask(hash_of("another")).await.expect("hashes");
        let finished = flood.iter().filter(|asked| asked.is_finished()).count();
        assert!(finished <= 3, "two hashes before it and one that gave way: {finished}");
        let mut over_share = 0;
        for asked in flood {
            match asked.await.expect("no panic") {
                Ok(_) => {}
                Err(AskError::OverShare("hasher")) => over_share += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(over_share, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn idle_memory_is_released_after_a_minute() {
        let (hasher, _tree) = hasher(2).await;
        hasher.ask(hash()).await.expect("hashes");
        let idle = async || hasher.status().await.expect("the actor runs").idle_memory;
        while idle().await != 1 {}
        tokio::time::sleep(IDLE_TIMEOUT * 3).await;
        assert_eq!(idle().await, 0);
    }
}
