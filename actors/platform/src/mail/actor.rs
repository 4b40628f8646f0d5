//! The actor: the mails in flight, and when the queue is read.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use faceofmind_base::{Clock, Rng};
use faceofmind_db::Database;
use faceofmind_runtime::{Actor, BackgroundTask, BackgroundTaskStatus, ChildSpec, Handle, Handler, ReplyTo, TaskSet};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument as _;

use super::{
    CountJobs, MailComposer, MailJob, Poll, Renderer, Transport, delivery::Delivery, messages::Claimed, queue,
    transport::MAX_CONNECTIONS,
};

const NAME: &str = "mailer";
const CAPACITY: usize = 64;
const DEADLINE: Duration = Duration::from_secs(5);
/// The mails in flight, beside slow ones.
const MAX_QUICK: usize = 8;
/// Of them, those that send codes only, so that notices and reminders delay no code.
const FOR_CODES: usize = 2;
/// A mail that is in flight for longer gives its slot back and goes on among the slow ones.
const SLOW_AFTER: Duration = Duration::from_secs(2);
/// The most slow mails. Further ones keep their slots.
const MAX_SLOW: usize = MAX_CONNECTIONS - MAX_QUICK;
/// Finds jobs whose next attempt is due, and jobs of other nodes.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);

/// What the actor needs.
pub struct Deps {
    /// Holds the queue.
    pub db: Database,
    pub transport: Arc<Transport>,
    /// Decides what each mail says.
    pub composer: Arc<dyn MailComposer>,
    pub renderer: Arc<Renderer>,
    pub clock: Clock,
    pub rng: Rng,
}

/// The actor's observable state.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    /// Mails in flight.
    pub in_flight: usize,
    /// Jobs done since the program started: sent, or without a reason to be sent.
    pub done: u64,
    /// Failed attempts since the program started that will be repeated.
    pub retried: u64,
    /// Dead letters since the program started.
    pub dead: u64,
    /// Mails that panicked since the actor started.
    pub panics: u64,
    /// Deletes old dead letters.
    pub sweep: BackgroundTaskStatus,
}

pub struct Mailer {
    delivery: Arc<Delivery>,
    handle: Handle<Self>,
    tasks: TaskSet,
    /// One for each mail in flight. A restarted actor has slots of its own, which no task of its predecessor frees.
    slots: Arc<Semaphore>,
    /// One for each slow mail.
    slow: Arc<Semaphore>,
    /// A poll found no free slot.
    poll_pending: bool,
    _poll: BackgroundTask,
    sweep: BackgroundTask,
}

impl Mailer {
    /// Returns the handle. The modules that the composer asks need it before the actor can be made.
    pub fn handle() -> Handle<Self> {
        Handle::new(NAME, CAPACITY, DEADLINE)
    }

    /// Returns the actor to supervise.
    pub fn child(handle: &Handle<Self>, deps: Deps) -> ChildSpec {
        let (delivery, own) = (Arc::new(Delivery::new(deps)), handle.clone());
        ChildSpec::ready(handle.clone(), move || Self::start(&delivery, &own))
    }

    fn start(delivery: &Arc<Delivery>, handle: &Handle<Self>) -> Self {
        let time = || (delivery.deps.clock.clone(), delivery.deps.rng.clone());
        let context = (Arc::clone(delivery), handle.clone());
        let poll =
            BackgroundTask::spawn("mail_poll", POLL_INTERVAL, time(), context, |(delivery, handle)| async move {
                let retried = delivery.retry_after_outage().await;
                handle.tell(Poll);
                retried
            });
        let sweep =
            BackgroundTask::spawn("mail_sweep", SWEEP_INTERVAL, time(), Arc::clone(delivery), |delivery| async move {
                queue::sweep(&delivery.deps.db, delivery.deps.clock.now()).await
            });
        Self {
            delivery: Arc::clone(delivery),
            handle: handle.clone(),
            tasks: TaskSet::default(),
            slots: Arc::new(Semaphore::new(MAX_QUICK)),
            slow: Arc::new(Semaphore::new(MAX_SLOW)),
            poll_pending: false,
            _poll: poll,
            sweep,
        }
    }

    /// Claims one job for each free slot. It holds the slots until it is known how many are needed.
    fn poll(&mut self) {
        let free = u32::try_from(self.slots.available_permits()).unwrap_or(0);
        let slots = Arc::clone(&self.slots).try_acquire_many_owned(free);
        let Some(slots) = slots.ok().filter(|_| free > 0) else {
            self.poll_pending = true;
            return;
        };
        self.poll_pending = false;
        let (delivery, handle) = (Arc::clone(&self.delivery), self.handle.clone());
        self.tasks.spawn(async move {
            let jobs = delivery.claim(free as usize, FOR_CODES).await;
            handle.tell(Claimed(assign_slots(jobs, slots)));
        });
    }
}

/// Gives each job a slot. The other slots become free.
fn assign_slots(jobs: Vec<MailJob>, mut slots: OwnedSemaphorePermit) -> Vec<(MailJob, OwnedSemaphorePermit)> {
    jobs.into_iter().map_while(|job| Some((job, slots.split(1)?))).collect()
}

/// Held by a mail in flight. Dropping it frees the slot and polls.
struct SlotGuard {
    slot: Option<OwnedSemaphorePermit>,
    handle: Handle<Mailer>,
}

impl SlotGuard {
    /// Goes on with another slot. The first becomes free.
    fn move_to(&mut self, slot: OwnedSemaphorePermit) {
        self.slot = Some(slot);
        self.handle.tell(Poll);
    }
}

/// Sends a mail, which gives its slot back when it becomes a slow one.
async fn send(delivery: Arc<Delivery>, job: MailJob, mut guard: SlotGuard, slow: Arc<Semaphore>) {
    let mut sending = pin!(delivery.deliver(job));
    let becomes_slow = async {
        tokio::time::sleep(SLOW_AFTER).await;
        slow.acquire_owned().await
    };
    let slot = tokio::select! {
        () = &mut sending => return,
        slot = becomes_slow => slot,
    };
    if let Ok(slot) = slot {
        guard.move_to(slot);
    }
    sending.await;
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        self.slot.take();
        self.handle.tell(Poll);
    }
}

impl Actor for Mailer {
    type Status = Status;

    fn status(&self) -> Status {
        let Delivery { done, retried, dead, .. } = &*self.delivery;
        Status {
            in_flight: MAX_CONNECTIONS - self.slots.available_permits() - self.slow.available_permits(),
            done: done.load(Ordering::Relaxed),
            retried: retried.load(Ordering::Relaxed),
            dead: dead.load(Ordering::Relaxed),
            panics: self.tasks.panics(),
            sweep: self.sweep.status(),
        }
    }

    /// Finishes the mails in flight, because they would be sent again.
    async fn on_stop(&mut self) {
        self.tasks.join_all().await;
    }
}

impl Handler<Poll> for Mailer {
    fn handle(&mut self, _: Poll, _: ReplyTo<Poll>) {
        self.poll();
    }
}

impl Handler<Claimed> for Mailer {
    fn handle(&mut self, Claimed(jobs): Claimed, _: ReplyTo<Claimed>) {
        for (job, slot) in jobs {
            let delivery = Arc::clone(&self.delivery);
            let guard = SlotGuard { slot: Some(slot), handle: self.handle.clone() };
            let span = tracing::info_span!(parent: None, "mail", request_id = job.request_id);
            self.tasks.spawn(send(delivery, job, guard, Arc::clone(&self.slow)).instrument(span));
        }
        if self.poll_pending {
            self.poll();
        }
    }
}

impl Handler<CountJobs> for Mailer {
    fn handle(&mut self, _: CountJobs, reply: ReplyTo<CountJobs>) {
        let db = self.delivery.deps.db.clone();
        self.tasks.spawn_reply(reply, async move { Ok(queue::count(db.read_conn().await?.connection()).await?) });
    }
}
