//! Suggestions: five lines for somebody who feels something, an acknowledgment and four tips.
//!
//! In this order: who speaks of suicide or self-harm gets the crisis answer, whatever else is up or down ([`crisis`]); an endpoint, where one
//! is set, gets its chance, with a deadline, a bound and a circuit breaker; and the catalogue that is built in answers all the rest. The
//! handle does the first and the last itself, so that nobody goes without because the actor is busy or dead.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use faceofmind_base::{Backoff, Clock, Rng};
use faceofmind_runtime::ChildSpec;
use faceofmind_runtime::legacy::{Address, Failure, Reply};
use serde_json::{Value, json};

pub mod crisis;

mod breaker;
mod catalogue;
mod completion;
mod endpoint;
mod pattern;
mod room;
mod text;

pub use self::{
    breaker::BreakerSettings,
    endpoint::{Endpoint, EndpointSettings},
};
use self::{
    breaker::Pass,
    endpoint::Fault,
    room::{Means, Room},
};

/// An acknowledgment and four tips.
const LINES: usize = 5;

/// What binds the calls to the endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long the endpoint may take for one answer. The caller of [`Suggestions::advise`] waits a little longer at most.
    pub deadline: Duration,
    /// Calls to it at once; beyond, the catalogue answers.
    pub most_at_once: usize,
    /// When it is left alone.
    pub breaker: BreakerSettings,
}

impl Default for Settings {
    fn default() -> Self {
        let backoff = Backoff { initial: Duration::from_secs(5), max: Duration::from_secs(300) };
        Self {
            deadline: Duration::from_millis(2500),
            most_at_once: 16,
            breaker: BreakerSettings { failures: 3, backoff },
        }
    }
}

/// Between the endpoint's deadline and the actor's: with it, everyone is answered within 3 s.
const GRACE: Duration = Duration::from_millis(300);

/// Who feels what. Prints nothing of it.
#[derive(Clone)]
pub struct Ask {
    /// The emotion, as sent.
    pub emotion: String,
    /// What the person said.
    pub words: Option<String>,
    /// The language that the person reads, as a tag such as `fil`. The crisis answer and the endpoint follow it where they can.
    pub language: Option<String>,
    /// The person's time zone, an IANA name: it tells whose hotlines to name. Unknown: those of the Philippines.
    pub time_zone: Option<String>,
    /// Chooses among the variants: the same seed, the same lines. A detection's id is a good one.
    pub seed: u64,
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ask(..)")
    }
}

/// What is suggested. Prints how much, not what: it may repeat what the person said.
#[derive(Clone, PartialEq, Eq)]
pub struct Advice {
    /// Five: an acknowledgment, then four tips; in a crisis whom to call.
    pub lines: Vec<String>,
    /// Pages to read. None of them holds a comma.
    pub urls: Vec<String>,
    /// Whether the person spoke of suicide or self-harm.
    pub crisis: bool,
}

impl fmt::Debug for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Advice({} lines, {} urls, crisis: {})", self.lines.len(), self.urls.len(), self.crisis)
    }
}

/// The room of the suggestions. Clones lead to the same actor.
#[derive(Clone, Debug)]
pub struct Suggestions {
    address: Address<Message>,
    endpoint_is_set: bool,
    tally: Arc<Tally>,
}

enum Message {
    Write(Ask, Reply<Result<Vec<String>, Failure>>),
    Heard(Pass, Option<Fault>),
}

/// How often what was answered, since the program started.
#[derive(Debug, Default)]
struct Tally {
    calls: AtomicU64,
    from_catalogue: AtomicU64,
    from_endpoint: AtomicU64,
    crises: AtomicU64,
}

impl Suggestions {
    /// The room, and the actor to be supervised, which speaks to the endpoint where there is one.
    pub fn new(settings: Settings, endpoint: Option<Endpoint>, clock: Clock, rng: Rng) -> (Self, ChildSpec) {
        let mailbox = settings.most_at_once * 2;
        let address = Address::new("suggestions", mailbox, settings.deadline + GRACE);
        let tally = Arc::<Tally>::default();
        let suggestions =
            Self { address: address.clone(), endpoint_is_set: endpoint.is_some(), tally: Arc::clone(&tally) };
        let child = ChildSpec::legacy(address.clone(), move || {
            let means =
                Means { endpoint: endpoint.clone(), address: address.clone(), clock: clock.clone(), rng: rng.clone() };
            let room = Room::new(settings, means, Arc::clone(&tally));
            async move { Ok(room) }
        });
        (suggestions, child)
    }

    /// Suggests something, within 3 s whatever the endpoint does: what fails is made good from the catalogue, and a crisis needs nothing
    /// that could fail.
    pub async fn advise(&self, ask: Ask) -> Advice {
        count(&self.tally.calls);
        if crisis::speaks_of_it(&ask.emotion) || ask.words.as_deref().is_some_and(crisis::speaks_of_it) {
            count(&self.tally.crises);
            return crisis::answer(ask.time_zone.as_deref(), ask.language.as_deref());
        }
        if let Some(lines) = self.written(&ask).await {
            count(&self.tally.from_endpoint);
            return Advice { lines, urls: catalogue::urls(&ask), crisis: false };
        }
        count(&self.tally.from_catalogue);
        catalogue::advice(&ask)
    }

    /// The endpoint's lines, if it has any in time.
    async fn written(&self, ask: &Ask) -> Option<Vec<String>> {
        if !self.endpoint_is_set {
            return None;
        }
        let ask = ask.clone();
        self.address.ask(|reply| Message::Write(ask, reply)).await.ok()
    }
}

impl Tally {
    fn observe(&self) -> Value {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        json!({ "calls": of(&self.calls), "from_catalogue": of(&self.from_catalogue),
                "from_endpoint": of(&self.from_endpoint), "crises": of(&self.crises) })
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
