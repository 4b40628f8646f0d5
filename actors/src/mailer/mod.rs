//! Mail: a durable queue of who is to be mailed and why; what we can say, how it reads, and how it leaves.

use std::{fmt, sync::Arc, time::Duration};

use faceofmind_kit::{Actor, Address, Child, Errands, Failure, Permit, Reply};
use serde_json::{Value, json};

pub mod defuse;
mod delivery;
mod intents;
pub mod letter;
pub mod render;
pub mod templates;
pub mod transport;

pub use delivery::Desk;
pub use intents::{Occasion, erase, queue};
pub use letter::Letter;
pub use render::{Envelope, Mail, RenderError, Renderer};
pub use templates::Language;
pub use transport::{SendError, SmtpSettings, SmtpTls, Transport};

use self::{delivery::Dispatch, intents::Intent};

/// Mails under way at a time: one slow address delays nobody.
const AT_A_TIME: usize = 8;
const POLL_EVERY: Duration = Duration::from_secs(1);
const SWEEP_EVERY: u32 = 3600;
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
    Wake,
    Tick,
    Taken(Vec<Intent>),
    Sent,
    Count(Reply<Result<Queue, Failure>>),
}

impl Mailer {
    /// The room's handle; the actor is made by [`Mailer::child`] once the rooms that it speaks with are there.
    pub fn new(transport: Transport) -> Self {
        Self { address: Address::new("mailer", MAILBOX, DEADLINE), transport: Arc::new(transport) }
    }

    /// The actor to be supervised.
    pub fn child(&self, desk: Desk) -> Child {
        let (address, transport) = (self.address.clone(), Arc::clone(&self.transport));
        let desk = Arc::new(Dispatch { desk, transport });
        Child::new(self.address.clone(), move || {
            let room = Room::new(Arc::clone(&desk), address.clone());
            async move { Ok(room) }
        })
    }

    /// Says that an intent was queued: to be called after the commit. Without it the queue is looked at every second.
    pub fn wake(&self) {
        self.address.tell(Message::Wake);
    }

    /// Whether mail can leave now.
    pub async fn is_up(&self) -> bool {
        self.transport.check().await
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
    under_way: usize,
    taking: bool,
    woken: bool,
    ticks: u32,
    sent: u64,
}

impl Room {
    fn new(desk: Arc<Dispatch>, address: Address<Message>) -> Self {
        address.tell(Message::Tick);
        let errands = Errands::default();
        Self { desk, address, errands, under_way: 0, taking: false, woken: false, ticks: 0, sent: 0 }
    }

    fn take(&mut self) {
        let free = AT_A_TIME.saturating_sub(self.under_way);
        if self.taking || free == 0 {
            self.woken = true;
            return;
        }
        (self.taking, self.woken) = (true, false);
        let (desk, address) = (Arc::clone(&self.desk), self.address.clone());
        self.errands.run(async move {
            let now = desk.clock.now();
            let taken = match intents::is_anything_due(&desk.db, now).await {
                Ok(true) => intents::take(&desk.db, free, now).await,
                Ok(false) => Ok(Vec::new()),
                Err(failure) => Err(failure),
            };
            if let Err(failure) = &taken {
                tracing::warn!(%failure, "the mail queue could not be read");
            }
            address.tell(Message::Taken(taken.unwrap_or_default()));
        });
    }

    fn send(&mut self, taken: Vec<Intent>) {
        self.taking = false;
        for intent in taken {
            self.under_way += 1;
            let (desk, sent) = (Arc::clone(&self.desk), Sent(self.address.clone()));
            self.errands.run(async move {
                if let Err(failure) = desk.deliver(intent).await {
                    tracing::warn!(%failure, "a mail could not be settled in the queue: it will be tried again");
                }
                drop(sent);
            });
        }
        if self.woken {
            self.take();
        }
    }

    fn tick(&mut self) {
        self.take();
        let sweeps = self.ticks.is_multiple_of(SWEEP_EVERY);
        self.ticks = self.ticks.wrapping_add(1);
        let (desk, address) = (Arc::clone(&self.desk), self.address.clone());
        self.errands.run(async move {
            if sweeps && let Err(failure) = intents::sweep(&desk.db, desk.clock.now()).await {
                tracing::warn!(%failure, "old dead letters were not swept");
            }
            tokio::time::sleep(POLL_EVERY).await;
            address.tell(Message::Tick);
        });
    }

    fn sent(&mut self) {
        self.under_way -= 1;
        self.sent += 1;
        self.take();
    }

    fn count(&mut self, reply: Reply<Result<Queue, Failure>>, permit: Permit) {
        let db = self.desk.db.clone();
        self.errands.answer(reply, permit, async move {
            let (waiting, dead) = intents::counts(db.reader().await?.connection()).await?;
            Ok(Queue { waiting, dead })
        });
    }
}

/// Tells that a mail is no longer under way, however that came about.
struct Sent(Address<Message>);

impl Drop for Sent {
    fn drop(&mut self) {
        self.0.tell(Message::Sent);
    }
}

impl Actor for Room {
    type Message = Message;

    async fn receive(&mut self, message: Message, permit: Permit) {
        match message {
            Message::Wake => self.take(),
            Message::Tick => self.tick(),
            Message::Taken(intents) => self.send(intents),
            Message::Sent => self.sent(),
            Message::Count(reply) => self.count(reply, permit),
        }
    }

    fn observe(&self) -> Value {
        json!({ "under_way": self.under_way, "handled": self.sent, "panicked": self.errands.panicked() })
    }
}
