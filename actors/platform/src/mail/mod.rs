//! Mail: a durable queue of who is to be mailed and why; what we can say, how it reads, and how it leaves.

use std::{fmt, sync::Arc, time::Duration};

use faceofmind_runtime::ChildSpec;
use faceofmind_runtime::legacy::{Actor, Address, Errands, Failure, Permit, Reply};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

mod compose;
pub mod defuse;
mod delivery;
mod intents;
pub mod letter;
pub mod render;
pub mod templates;
pub mod transport;

pub use compose::{ComposeFuture, ComposedMail, MailComposer, MailerDeps};
pub use intents::{Intent, drop_resets, erase, queue};
pub use letter::Letter;
pub use render::{Envelope, Mail, RenderError, Renderer};
pub use templates::Language;
pub use transport::{SendError, SmtpSettings, SmtpTls, Transport};

use self::delivery::Dispatch;
use faceofmind_model::user::UserId;

/// Mails under way at a time: one slow address delays nobody.
const AT_A_TIME: usize = 8;
const POLL_EVERY: Duration = Duration::from_secs(1);
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
const MAILBOX: usize = 64;
const DEADLINE: Duration = Duration::from_secs(5);

/// Where mail is sent from. Clones lead to the same actor.
#[derive(Clone)]
pub struct Mailer {
    address: Address<Message>,
    transport: Arc<Transport>,
}

/// How the queue stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Waiting, or being tried again.
    pub waiting: i64,
    /// Given up.
    pub dead: i64,
}

enum Message {
    /// Something may be due: it was queued, its time has come, or there is room for another.
    Look,
    /// What was taken, each with its slot.
    Taken(Vec<(Intent, OwnedSemaphorePermit)>),
    Count(Reply<Result<Queue, Failure>>),
}

impl Mailer {
    /// The room's handle; the actor is made by [`Mailer::child`] once the rooms that it speaks with are there.
    pub fn new(transport: Transport) -> Self {
        Self { address: Address::new("mailer", MAILBOX, DEADLINE), transport: Arc::new(transport) }
    }

    /// The actor to be supervised.
    pub fn child(&self, desk: MailerDeps) -> ChildSpec {
        let (address, transport) = (self.address.clone(), Arc::clone(&self.transport));
        let desk = Arc::new(Dispatch::new(desk, transport));
        ChildSpec::legacy(self.address.clone(), move || {
            let room = Room::new(Arc::clone(&desk), address.clone());
            async move { Ok(room) }
        })
    }

    /// Says that an intent was queued: to be called after the commit. Without it the queue is looked at every second.
    pub fn wake(&self) {
        self.address.tell(Message::Look);
    }

    /// Whether mail can leave now.
    pub async fn is_up(&self) -> bool {
        self.transport.check().await
    }

    /// Removes the mails about that user that rest in a folder of ours. Those that a mail server has taken are out of reach.
    pub async fn forget(&self, user: UserId) {
        if let Err(error) = self.transport.forget(user).await {
            tracing::warn!(%error, "mails to somebody who is gone were not removed");
        }
    }

    /// The users about whom mails rest in a folder of ours.
    pub async fn written_of(&self) -> Vec<UserId> {
        self.transport.written_of().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the mails could not be looked through");
            Vec::new()
        })
    }

    /// How the queue stands.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn count(&self) -> Result<Queue, Failure> {
        self.address.ask(Message::Count).await
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

struct Room {
    desk: Arc<Dispatch>,
    address: Address<Message>,
    errands: Errands,
    /// One for each mail that may be under way. A start has slots of its own: what an earlier one left behind frees none of these.
    slots: Arc<Semaphore>,
    /// Somebody said that something is due while every slot was taken, perhaps by a look that began before.
    look_again: bool,
    /// What never ends by itself: apart from the errands, which a stop waits for.
    _ticks: Errands,
}

impl Room {
    fn new(desk: Arc<Dispatch>, address: Address<Message>) -> Self {
        let mut ticks = Errands::default();
        ticks.run(poll(address.clone()));
        ticks.run(sweep(Arc::clone(&desk)));
        let slots = Arc::new(Semaphore::new(AT_A_TIME));
        Self { desk, address, errands: Errands::default(), slots, look_again: false, _ticks: ticks }
    }

    /// Takes as much from the queue as there are free slots, and holds them until it is known how many are needed.
    fn look(&mut self) {
        let free = u32::try_from(self.slots.available_permits()).unwrap_or(0);
        let held = Arc::clone(&self.slots).try_acquire_many_owned(free);
        let Some(held) = held.ok().filter(|_| free > 0) else {
            self.look_again = true;
            return;
        };
        self.look_again = false;
        let (desk, address) = (Arc::clone(&self.desk), self.address.clone());
        self.errands.run(async move {
            let taken = desk.take(free as usize).await;
            address.tell(Message::Taken(in_slots(taken, held)));
        });
    }

    fn send(&mut self, taken: Vec<(Intent, OwnedSemaphorePermit)>) {
        for (intent, slot) in taken {
            let (desk, done) = (Arc::clone(&self.desk), Done { slot: Some(slot), address: self.address.clone() });
            self.errands.run(async move {
                desk.deliver(intent).await;
                drop(done);
            });
        }
        if self.look_again {
            self.look();
        }
    }

    fn count(&mut self, reply: Reply<Result<Queue, Failure>>, permit: Permit) {
        let db = self.desk.db.clone();
        self.errands.answer(reply, permit, async move {
            let (waiting, dead) = intents::counts(db.read_conn().await?.connection()).await?;
            Ok(Queue { waiting, dead })
        });
    }
}

/// A slot for each intent; the rest of them is free again.
fn in_slots(taken: Vec<Intent>, mut held: OwnedSemaphorePermit) -> Vec<(Intent, OwnedSemaphorePermit)> {
    taken.into_iter().map_while(|intent| Some((intent, held.split(1)?))).collect()
}

/// Frees the slot of a mail that is no longer under way, however that came about, and says so.
struct Done {
    slot: Option<OwnedSemaphorePermit>,
    address: Address<Message>,
}

impl Drop for Done {
    fn drop(&mut self) {
        self.slot.take();
        self.address.tell(Message::Look);
    }
}

/// Looks every now and then: for what is to be tried again, what other nodes queued, and what nobody was woken for.
async fn poll(address: Address<Message>) {
    loop {
        tokio::time::sleep(POLL_EVERY).await;
        address.tell(Message::Look);
    }
}

async fn sweep(desk: Arc<Dispatch>) {
    loop {
        if let Err(failure) = intents::sweep(&desk.db, desk.clock.now()).await {
            tracing::warn!(%failure, "old dead letters were not swept");
        }
        tokio::time::sleep(desk.rng.jitter(SWEEP_EVERY)).await;
    }
}

impl Actor for Room {
    type Message = Message;

    async fn receive(&mut self, message: Message, permit: Permit) {
        match message {
            Message::Look => self.look(),
            Message::Taken(taken) => self.send(taken),
            Message::Count(reply) => self.count(reply, permit),
        }
    }

    /// A mail under way is sent and settled, or it would be sent again.
    async fn stop(&mut self) {
        self.errands.finish().await;
    }

    fn observe(&self) -> Value {
        let mut observed = self.desk.counted();
        observed["under_way"] = json!(AT_A_TIME - self.slots.available_permits());
        observed["panicked"] = json!(self.errands.panicked());
        observed
    }
}
