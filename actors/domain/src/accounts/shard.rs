//! One of the actors: reads beside one another, writes one after another.

use std::{collections::VecDeque, sync::Arc};

use faceofmind_runtime::legacy::{Actor, Address, Errands, Permit};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    Message, Read, Write,
    ledger::{self, Ledger},
};

pub(super) struct Shard {
    ledger: Ledger,
    address: Address<Message>,
    waiting: VecDeque<(Write, Permit)>,
    /// Held by the one write under way. A start has a turn of its own: what an earlier one left behind does not take it.
    turn: Arc<Semaphore>,
    errands: Errands,
    /// What never ends by itself: apart from the errands, which a stop waits for.
    _ticks: Errands,
}

impl Shard {
    pub(super) fn new(ledger: Ledger, address: Address<Message>, sweeps: bool) -> Self {
        let mut ticks = Errands::default();
        if sweeps {
            ticks.run(ledger::sweep(ledger.clone()));
            ticks.run(ledger::forget_deleted(ledger.clone()));
        }
        let turn = Arc::new(Semaphore::new(1));
        Self { ledger, address, waiting: VecDeque::new(), turn, errands: Errands::default(), _ticks: ticks }
    }

    fn read(&mut self, read: Read, permit: Permit) {
        let ledger = self.ledger.clone();
        match read {
            Read::Get(id, reply) => self.errands.answer(reply, permit, async move { ledger.get(id).await }),
            Read::Credentials(email, reply) => {
                self.errands.answer(reply, permit, async move { ledger.credentials(&email).await });
            }
            Read::List(filter, reply) => self.errands.answer(reply, permit, async move { ledger.list(&filter).await }),
            Read::WantedAddress(user, reply) => {
                self.errands.answer(reply, permit, async move { ledger.wanted_address(user).await });
            }
            Read::Draft(occasion, reply) => {
                self.errands.answer(reply, permit, async move { ledger.draft(&occasion).await });
            }
        }
    }

    /// One at a time, beside the mailbox: those who only read do not wait for those who write.
    fn write_next(&mut self) {
        let Ok(turn) = Arc::clone(&self.turn).try_acquire_owned() else { return };
        let next = std::iter::from_fn(|| self.waiting.pop_front()).find(|(_, permit)| !permit.is_orphaned());
        let Some((write, permit)) = next else { return };
        let (ledger, written) = (self.ledger.clone(), Written { turn: Some(turn), address: self.address.clone() });
        self.errands.run(async move {
            ledger.write(write).await;
            drop((permit, written));
        });
    }
}

/// Gives the turn back, however the write ended, and says so.
struct Written {
    turn: Option<OwnedSemaphorePermit>,
    address: Address<Message>,
}

impl Drop for Written {
    fn drop(&mut self) {
        self.turn.take();
        self.address.tell(Message::Written);
    }
}

impl Ledger {
    async fn write(&self, write: Write) {
        match write {
            Write::Register(new, reply) => reply.send(self.register(new).await),
            Write::Verify { email, claim, origin, reply } => reply.send(self.verify(&email, claim, &origin).await),
            Write::SendCode { occasion, client, reply } => reply.send(self.send_code(occasion, &client).await),
            Write::SetPassword(new, reply) => reply.send(self.set_password(new).await),
            Write::RequestAddress(new, reply) => reply.send(self.request_address(new).await),
            Write::ChangeAddress(proven, reply) => reply.send(self.move_account(proven).await),
            Write::Compare { user, revision, reply } => reply.send(self.is_unchanged(user, revision).await),
            Write::RenewHash { user, old, new, reply } => reply.send(self.renew_hash(user, &old, &new).await),
            Write::Change { user, change, origin, reply } => reply.send(self.change(user, change, &origin).await),
            Write::Delete { user, compared_at, origin, reply } => {
                reply.send(self.delete(user, compared_at, &origin).await);
            }
            Write::CreateAdmin(new, password, reply) => reply.send(self.create_admin(new, password).await),
        }
    }
}

impl Actor for Shard {
    type Message = Message;

    async fn receive(&mut self, message: Message, permit: Permit) {
        match message {
            Message::Read(read) => self.read(read, permit),
            Message::Write(write) => self.waiting.push_back((write, permit)),
            Message::Written => {}
        }
        self.write_next();
    }

    /// Whatever waits is written; `Written` no longer reaches an actor that stops.
    async fn stop(&mut self) {
        while self.errands.under_way() > 0 {
            self.errands.finish().await;
            self.write_next();
        }
    }

    fn observe(&self) -> Value {
        json!({ "under_way": self.errands.under_way(), "writes_waiting": self.waiting.len(),
                "panicked": self.errands.panicked() })
    }
}
