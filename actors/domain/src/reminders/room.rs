//! The actor: what people ask is done beside the mailbox, and one round at a time tells what is due.

use std::{sync::Arc, time::Duration};

use faceofmind_runtime::legacy::{Actor, Address, Errands, Failure, Permit};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Message, adoption::adopt, due::Round, ledger::Ledger, store::schedule::Due};

/// How often, about: a reminder is for eight o'clock, not for its first second.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Room {
    ledger: Ledger,
    address: Address<Message>,
    errands: Errands,
    /// Held by the one round under way. A start has a turn of its own: what an earlier one left behind does not take it.
    turn: Arc<Semaphore>,
    told: usize,
    passed: usize,
    failed: usize,
    /// What never ends by itself: apart from the errands, which a stop waits for.
    _ticks: Errands,
}

impl Room {
    pub(super) fn new(ledger: Ledger, address: Address<Message>) -> Self {
        let mut ticks = Errands::default();
        ticks.run(adopt(ledger.clone()));
        ticks.tell_every(LOOK_EVERY, ledger.rng.clone(), address.clone(), || Message::Look);
        let turn = Arc::new(Semaphore::new(1));
        Self { ledger, address, errands: Errands::default(), turn, told: 0, passed: 0, failed: 0, _ticks: ticks }
    }

    fn look(&mut self, after: Option<Due>) {
        let Ok(turn) = Arc::clone(&self.turn).try_acquire_owned() else { return };
        let ledger = self.ledger.clone();
        let looked = Looked { turn: Some(turn), round: Round::default(), address: self.address.clone() };
        self.errands.run(async move { looked.at(ledger.tell_what_is_due(after).await) });
    }

    fn looked(&mut self, round: Round) {
        self.told += round.told;
        self.passed += round.passed;
        self.failed += round.failed;
        if round.last.is_some() {
            self.look(round.last);
        }
    }
}

/// Gives the turn back, however the round ended, and says so.
struct Looked {
    turn: Option<OwnedSemaphorePermit>,
    round: Round,
    address: Address<Message>,
}

impl Looked {
    fn at(mut self, round: Result<Round, Failure>) {
        match round {
            Ok(round) => self.round = round,
            Err(failure) => tracing::warn!(%failure, "what is due could not be told: to be tried again"),
        }
    }
}

impl Drop for Looked {
    fn drop(&mut self) {
        self.turn.take();
        self.address.tell(Message::Looked(self.round));
    }
}

impl Actor for Room {
    type Message = Message;

    /// Begins the work: the database decides between those who race, so none waits for another.
    async fn receive(&mut self, message: Message, permit: Permit) {
        let (errands, ledger) = (&mut self.errands, self.ledger.clone());
        match message {
            Message::Create { user, new, key, reply } => {
                errands.answer(reply, permit, async move { ledger.create(user, new, key).await });
            }
            Message::Change { user, id, change, reply } => {
                errands.answer(reply, permit, async move { ledger.change(user, id, change).await });
            }
            Message::Delete { user, id, reply } => {
                errands.answer(reply, permit, async move { ledger.delete(user, id).await });
            }
            Message::Get { user, id, reply } => {
                errands.answer(reply, permit, async move { ledger.get(user, id).await });
            }
            Message::List { user, skip, limit, reply } => {
                errands.answer(reply, permit, async move { ledger.list(user, skip, limit).await });
            }
            Message::Told { id, reply } => errands.answer(reply, permit, async move { ledger.told(id).await }),
            Message::Look => self.look(None),
            Message::Looked(round) => self.looked(round),
        }
    }

    /// A round under way is finished, or nothing of it was done.
    async fn stop(&mut self) {
        self.errands.finish().await;
    }

    fn observe(&self) -> Value {
        json!({ "under_way": self.errands.under_way(), "told": self.told, "passed": self.passed,
                "failed": self.failed, "panicked": self.errands.panicked() })
    }
}
