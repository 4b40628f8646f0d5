//! The actor: starts one round of the relay at a time, when it is woken and now and then, and rests after a failure.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use faceofmind_base::{Clock, Rng, Timestamp};
use faceofmind_runtime::legacy::{Actor, Address, Errands, Failure, Permit};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{
    Publisher, Settings,
    nudge::{Hint, Nudges},
    relay::{Part, Relay, Round},
    store::Backlog,
};
use crate::nats::{Link, Nats};

/// What the actor is told; nobody asks it.
pub(super) enum Message {
    /// Something was committed.
    Wake,
    /// A node, maybe this one, says that there is a reason to look.
    Hinted(Hint),
    /// Time to look.
    Poll,
    /// Time to try again after a failure.
    Resume,
    /// A round has ended; without an outcome, in a panic.
    Landed { start: u64, outcome: Option<Result<Round, Failure>> },
}

/// The actor: starts one round at a time.
pub(super) struct Carrier {
    publisher: Publisher,
    start: u64,
    relay: Arc<Mutex<Relay>>,
    settings: Settings,
    clock: Clock,
    rng: Rng,
    pace: Pace,
    failures: u32,
    report: Report,
    rounds: Errands,
    timers: Errands,
    nudges: Option<Nudges>,
}

/// What is to be done in a round; the greater includes the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    /// Put on the bus what others have published.
    CatchUp,
    /// Publish, if this node leads or can; else as above.
    Publish,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Idle,
    /// In a round, and what is to be done after it.
    Busy {
        next: Option<Task>,
    },
    /// Until its backoff is over, or the link comes back.
    Resting,
}

impl Pace {
    /// As it is after something was asked for that cannot begin now.
    fn put_off(self, task: Task) -> Self {
        match self {
            Self::Busy { next } => Self::Busy { next: next.max(Some(task)) },
            other => other,
        }
    }
}

/// What those see who watch.
#[derive(Default)]
struct Report {
    part: Option<Part>,
    backlog: Backlog,
    published: u64,
    last: Option<(i64, Timestamp)>,
    trouble: Option<String>,
}

impl Carrier {
    pub(super) fn new(publisher: Publisher, relay: Relay, nats: Option<&Nats>, settings: Settings, rng: Rng) -> Self {
        let start = publisher.signals.starts.fetch_add(1, Ordering::Relaxed);
        let mut timers = Errands::default();
        timers.run(poll(publisher.address.clone(), settings.poll));
        if let Some(link) = publisher.link.clone() {
            timers.run(resume_with(link, publisher.address.clone()));
        }
        let nudges = nats.map(|nats| Nudges::start(nats, &publisher.address, &mut timers));
        let clock = relay.clock.clone();
        let relay = Arc::new(Mutex::new(relay));
        Self {
            publisher,
            start,
            relay,
            settings,
            clock,
            rng,
            pace: Pace::Idle,
            failures: 0,
            report: Report::default(),
            rounds: Errands::default(),
            timers,
            nudges,
        }
    }

    fn look(&mut self, task: Task) {
        match self.pace {
            Pace::Idle => self.begin(task),
            pace => self.pace = pace.put_off(task),
        }
    }

    fn begin(&mut self, task: Task) {
        self.pace = Pace::Busy { next: None };
        let landing = Landing { address: self.publisher.address.clone(), start: self.start, outcome: None };
        let relay = Arc::clone(&self.relay);
        self.rounds.run(async move {
            let mut relay = relay.lock().await;
            landing.with(match task {
                Task::Publish => relay.round().await,
                Task::CatchUp => relay.catch_up().await,
            });
        });
    }

    fn land(&mut self, outcome: Result<Round, Failure>) {
        let asked = if let Pace::Busy { next } = self.pace { next } else { None };
        self.pace = Pace::Idle;
        let failed = outcome.is_err();
        self.publisher.signals.failing.store(failed, Ordering::Relaxed);
        match outcome {
            Ok(round) => {
                if self.report.trouble.take().is_some() {
                    tracing::info!("publishing goes on");
                }
                self.failures = 0;
                self.note(&round);
                if let Some(task) = asked.max(round.more.then_some(Task::Publish)) {
                    self.begin(task);
                }
            }
            Err(failure) => self.rest(&failure),
        }
    }

    /// From here on a wake-up is news. At each poll too, for one may have been lost with an actor before this one.
    fn hears_again(&self) {
        self.publisher.signals.woken.store(false, Ordering::Release);
    }

    /// What a committed event is a reason for: who leads publishes it, who follows says so to who leads, and who is cut off leaves it to
    /// the leader's next look.
    fn wake(&mut self) {
        match self.report.part {
            None | Some(Part::Leads) => self.look(Task::Publish),
            Some(Part::Follows) => self.nudge(Hint::Recorded),
            Some(Part::CutOff) => {}
        }
    }

    fn heed(&mut self, hint: Hint) {
        match (hint, self.report.part) {
            (Hint::Recorded, Some(Part::Leads)) => self.look(Task::Publish),
            (Hint::Published, Some(Part::Follows)) if self.publisher.bus.subscribers() > 0 => self.look(Task::CatchUp),
            _ => {}
        }
    }

    fn nudge(&self, hint: Hint) {
        if let Some(nudges) = &self.nudges {
            nudges.give(hint);
        }
    }

    fn note(&mut self, round: &Round) {
        if round.published > 0 {
            self.nudge(Hint::Published);
        }
        self.report.part = Some(round.part);
        self.report.published += round.published as u64;
        self.report.backlog = round.backlog.unwrap_or(self.report.backlog);
        self.report.last = round.position.map(|position| (position, self.clock.now())).or(self.report.last);
    }

    fn rest(&mut self, failure: &Failure) {
        self.failures = self.failures.saturating_add(1);
        let wait = self.settings.backoff.delay(self.failures, &self.rng);
        let cause = failure.to_string();
        if self.report.trouble.as_ref() != Some(&cause) {
            tracing::warn!(cause, "publishing failed: to be tried again");
        }
        self.report.trouble = Some(cause);
        self.pace = Pace::Resting;
        let address = self.publisher.address.clone();
        self.timers.run(async move {
            tokio::time::sleep(wait).await;
            address.tell(Message::Resume);
        });
    }
}

impl Actor for Carrier {
    type Message = Message;

    async fn receive(&mut self, message: Message, _: Permit) {
        match message {
            Message::Wake => {
                self.hears_again();
                self.wake();
            }
            Message::Poll => {
                self.hears_again();
                self.look(Task::Publish);
            }
            Message::Hinted(hint) => self.heed(hint),
            Message::Resume => {
                if self.pace == Pace::Resting {
                    self.pace = Pace::Idle;
                }
                self.look(Task::Publish);
            }
            Message::Landed { start, .. } if start != self.start => {}
            Message::Landed { outcome: Some(outcome), .. } => self.land(outcome),
            // What the round knew of the stream is lost with it: its supervisor starts afresh.
            Message::Landed { outcome: None, .. } => panic!("a round of publishing panicked"),
        }
    }

    /// Publishes what is left, and leaves the lead to another node.
    async fn stop(&mut self) {
        self.rounds.finish().await;
        let mut relay = self.relay.lock().await;
        let drained = loop {
            match relay.round().await {
                Ok(round) if round.more => {}
                other => break other.map(drop),
            }
        };
        if let Err(cause) = drained.and(relay.step_down().await) {
            tracing::warn!(%cause, "stopped with events left to publish: the next start publishes them");
        }
    }

    fn observe(&self) -> Value {
        json!({
            "part": self.report.part,
            "connected": self.publisher.link.as_ref().map(Link::is_up),
            "backlog": self.report.backlog,
            "published": self.report.published,
            "last_published": self.report.last.map(|(position, at)| json!({ "position": position, "at": at })),
            "subscribers": self.publisher.bus.subscribers(),
            "trouble": self.report.trouble,
        })
    }
}

/// Tells how a round ended, also when it panics. It names the actor's start, for a successor at the same address must not take the
/// end of an older round for its own's.
struct Landing {
    address: Address<Message>,
    start: u64,
    outcome: Option<Result<Round, Failure>>,
}

impl Landing {
    fn with(mut self, outcome: Result<Round, Failure>) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.address.tell(Message::Landed { start: self.start, outcome: self.outcome.take() });
    }
}

async fn poll(address: Address<Message>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        address.tell(Message::Poll);
    }
}

/// A link that comes back, or breaks, is reason enough to look at once.
async fn resume_with(link: Link, address: Address<Message>) {
    loop {
        link.moved_from(link.turn()).await;
        address.tell(Message::Resume);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_is_asked_during_a_round_the_most_is_done_after_it() {
        let after = |asked: &[Task]| asked.iter().fold(Pace::Busy { next: None }, |pace, &task| pace.put_off(task));
        let busy = |next| Pace::Busy { next };
        assert_eq!(after(&[]), busy(None));
        assert_eq!(after(&[Task::CatchUp, Task::CatchUp]), busy(Some(Task::CatchUp)), "no attempt to lead");
        assert_eq!(after(&[Task::Publish, Task::CatchUp]), busy(Some(Task::Publish)));
    }
}
