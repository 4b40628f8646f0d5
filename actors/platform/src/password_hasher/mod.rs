//! CPU for passwords: as many workers as cores, a bounded queue, and memory that is taken at first use and given back after a
//! minute's rest. A storm of log-ins waits here and nowhere else.

use std::{collections::VecDeque, time::Duration};

use argon2::Params;
use faceofmind_base::Rng;
use faceofmind_runtime::ChildSpec;
use faceofmind_runtime::legacy::{Actor, Address, Errands, Failure, Permit, Reply};
use secrecy::SecretString;
use serde_json::{Value, json};

mod argon;
use argon::Arena;
pub use argon::{Cost, PasswordHash, Verdict};

/// After so long without work the memory is given back.
const REST: Duration = Duration::from_secs(60);

/// How much may be hashed.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What one hash costs.
    pub cost: Cost,
    /// Hashes at a time; one a core.
    pub workers: usize,
    /// Passwords that may wait; beyond, callers hear "busy" at once.
    pub queue: usize,
    /// How long a caller waits at most.
    pub deadline: Duration,
}

/// Where passwords are hashed and compared.
#[derive(Clone, Debug)]
pub struct Hasher(Address<Message>);

enum Message {
    Do(Job),
    Done(Option<Arena>),
    Rest,
}

enum Job {
    Hash(SecretString, Reply<Result<PasswordHash, Failure>>),
    Verify(SecretString, Option<PasswordHash>, Reply<Result<Verdict, Failure>>),
}

impl Hasher {
    /// The hasher, and the child to be supervised.
    ///
    /// # Errors
    /// When Argon2 does not allow the cost, in words.
    pub fn new(settings: Settings, rng: Rng) -> Result<(Self, ChildSpec), String> {
        let params = settings.cost.params()?;
        let address = Address::new("hasher", settings.queue + settings.workers, settings.deadline);
        let hasher = Self(address.clone());
        let child = ChildSpec::legacy(address.clone(), move || {
            let room = Room::new(settings.workers, params.clone(), rng.clone(), address.clone());
            async move { Ok(room) }
        });
        Ok((hasher, child))
    }

    /// Hashes a password.
    ///
    /// # Errors
    /// [`Failure::Busy`] when as many wait as may.
    pub async fn hash(&self, password: SecretString) -> Result<PasswordHash, Failure> {
        self.0.ask(|reply| Message::Do(Job::Hash(password, reply))).await
    }

    /// Compares a password with a hash; with `None` the same work is done and the answer is no, so that time does not tell who exists.
    ///
    /// # Errors
    /// [`Failure::Busy`] when as many wait as may.
    pub async fn verify(&self, password: SecretString, hash: Option<PasswordHash>) -> Result<Verdict, Failure> {
        self.0.ask(|reply| Message::Do(Job::Verify(password, hash, reply))).await
    }
}

impl Job {
    fn run(self, arena: &mut Arena, params: &Params, rng: &Rng) {
        match self {
            Self::Hash(password, reply) => {
                let unable = |reason| Failure::Dependency { service: "Argon2", reason };
                reply.send(arena.hash(params, &password, rng).map_err(unable));
            }
            Self::Verify(password, hash, reply) => reply.send(Ok(arena.verify(params, &password, hash.as_ref()))),
        }
    }
}

struct Room {
    waiting: VecDeque<(Job, Permit)>,
    idle: Vec<Arena>,
    free_workers: usize,
    worked_since_rest: bool,
    rest_is_due: bool,
    started: u64,
    errands: Errands,
    params: Params,
    rng: Rng,
    address: Address<Message>,
}

impl Room {
    fn new(workers: usize, params: Params, rng: Rng, address: Address<Message>) -> Self {
        Self {
            waiting: VecDeque::new(),
            idle: Vec::new(),
            free_workers: workers,
            worked_since_rest: false,
            rest_is_due: false,
            started: 0,
            errands: Errands::default(),
            params,
            rng,
            address,
        }
    }

    fn work(&mut self) {
        while self.free_workers > 0 {
            let Some((job, permit)) = self.waiting.pop_front() else { return };
            if !permit.is_orphaned() {
                self.free_workers -= 1;
                self.started += 1;
                self.run(job, permit);
            }
        }
    }

    fn run(&mut self, job: Job, permit: Permit) {
        let mut arena = self.idle.pop().unwrap_or_default();
        let (params, rng, address) = (self.params.clone(), self.rng.clone(), self.address.clone());
        self.errands.run(async move {
            let working = tokio::task::spawn_blocking(move || {
                job.run(&mut arena, &params, &rng);
                drop(permit);
                arena
            });
            address.tell(Message::Done(working.await.ok()));
        });
    }

    fn done(&mut self, arena: Option<Arena>) {
        self.idle.extend(arena);
        self.free_workers += 1;
        self.worked_since_rest = true;
        self.plan_rest();
        self.work();
    }

    fn plan_rest(&mut self) {
        if !self.rest_is_due {
            self.rest_is_due = true;
            let address = self.address.clone();
            self.errands.run(async move {
                tokio::time::sleep(REST).await;
                address.tell(Message::Rest);
            });
        }
    }

    fn rest(&mut self) {
        self.rest_is_due = false;
        if self.worked_since_rest {
            self.worked_since_rest = false;
            self.plan_rest();
        } else {
            self.idle = Vec::new();
        }
    }
}

impl Actor for Room {
    type Message = Message;

    async fn receive(&mut self, message: Message, permit: Permit) {
        match message {
            Message::Do(job) => {
                self.waiting.push_back((job, permit));
                self.work();
            }
            Message::Done(arena) => self.done(arena),
            Message::Rest => self.rest(),
        }
    }

    fn observe(&self) -> Value {
        json!({ "waiting": self.waiting.len(), "free_workers": self.free_workers, "started": self.started,
                "arenas_held": self.idle.len() })
    }
}

#[cfg(test)]
mod tests {
    use faceofmind_base::Clock;
    use faceofmind_runtime::{Supervisor, SupervisorHandle, SupervisorSpec};

    use super::*;

    async fn hasher(queue: usize, cost: Cost) -> (Hasher, SupervisorHandle) {
        let settings = Settings { cost, workers: 1, queue, deadline: Duration::from_secs(20) };
        let (hasher, child) = Hasher::new(settings, Rng::system()).expect("an allowed cost");
        let family = SupervisorSpec {
            children: vec![child],
            policy: Default::default(),
            clock: Clock::system(),
            rng: Rng::system(),
        };
        (hasher, Supervisor::start(family).await.expect("starts"))
    }

    fn secret() -> SecretString {
        SecretString::from("correct horse".to_owned())
    }

    #[tokio::test]
    async fn hashes_and_compares() {
        let (hasher, _tree) = hasher(4, Cost { memory_kib: 64, ..Cost::default() }).await;
        let hash = hasher.hash(secret()).await.expect("hashes");
        assert!(hasher.verify(secret(), Some(hash)).await.expect("compares").matches);
        assert!(!hasher.verify(secret(), None).await.expect("compares").matches);
    }

    #[tokio::test]
    async fn beyond_the_queue_callers_hear_busy_at_once() {
        let (hasher, tree) = hasher(1, Cost { memory_kib: 64, ..Cost::default() }).await;
        // On one thread nothing is hashed before all four have asked.
        let (first, second, third, fourth) =
            tokio::join!(hasher.hash(secret()), hasher.hash(secret()), hasher.hash(secret()), hasher.hash(secret()));
        assert!(first.is_ok() && second.is_ok(), "one is worked on, one waits");
        for refused in [third, fourth] {
            assert!(matches!(refused, Err(Failure::Busy("hasher"))), "{refused:?}");
        }
        let freed = async {
            while tree.snapshot()[0].queue_len > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), freed).await.expect("their places are free again");
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_given_back_after_a_minutes_rest() {
        let (hasher, tree) = hasher(2, Cost { memory_kib: 64, ..Cost::default() }).await;
        hasher.hash(secret()).await.expect("hashes");
        let held = async || tree.children()[0].status().await.expect("observed")["arenas_held"].clone();
        while held().await != 1 {}
        tokio::time::sleep(REST * 3).await;
        assert_eq!(held().await, 0);
    }
}
