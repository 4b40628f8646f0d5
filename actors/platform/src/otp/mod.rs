//! One-time codes: minted when their mail is about to be sent, at rest only as keyed hashes, right once.
//!
//! Letters about different addresses are worked on in parallel; what must be one step is one transaction or one script in the store.

use std::{sync::Arc, time::Duration};

use faceofmind_base::{Clock, Rng};
use faceofmind_runtime::ChildSpec;
use faceofmind_runtime::legacy::{Actor, Address, Errands, Failure, Permit, Reply};
use serde_json::{Value, json};

pub mod budget;
mod desk;
mod request;
mod store;

pub use budget::Budget;
pub use request::{Guess, Mint, Minted, OtpError, Proof, Purpose};
pub use store::Codes;

use faceofmind_model::OtpCode;

use self::{desk::Desk, store::Then};
use crate::keyed_hash::KeyedHash;
use crate::rate_limit::Limits;
use faceofmind_model::user::Email;

/// How codes live, and how the room works.
#[derive(Clone, Copy, Debug)]
pub struct OtpSettings {
    /// How long a code is good for, from minting.
    pub lifetime: Duration,
    /// Wrong guesses that a code bears.
    pub tries: u8,
    /// How many are minted for one address.
    pub budget: Budget,
    /// Wrong guesses a day for an account, from anywhere.
    pub wrong_a_day: u32,
    /// Wrong guesses a day for an account from one client address.
    pub wrong_a_day_from_one_client: u32,
    /// Letters that may lie in the mailbox or be worked on.
    pub mailbox: usize,
    /// How long a caller waits at most.
    pub deadline: Duration,
    /// Between two sweeps of what is over.
    pub sweep_every: Duration,
}

impl Default for OtpSettings {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(300),
            tries: 5,
            budget: Budget::default(),
            wrong_a_day: 200,
            wrong_a_day_from_one_client: 20,
            mailbox: 1024,
            deadline: Duration::from_secs(10),
            sweep_every: Duration::from_secs(300),
        }
    }
}

/// The room of the codes. Clones lead to the same actor.
#[derive(Clone, Debug)]
pub struct Otp {
    address: Address<Message>,
    codes: Codes,
}

impl Otp {
    /// The room over `codes`, and the actor to be supervised. Everything is hashed under `key` (32 bytes or more); with another key all
    /// codes are wrong.
    pub fn new(
        settings: OtpSettings,
        codes: Codes,
        key: &[u8],
        limits: Limits,
        clock: Clock,
        rng: Rng,
    ) -> (Self, ChildSpec) {
        let address = Address::new("otp", settings.mailbox, settings.deadline);
        let keys = KeyedHash::new(key, "otp");
        let otp = Self { address: address.clone(), codes: codes.clone() };
        let desk = Arc::new(Desk { settings, codes, keys, limits, clock, rng, done: Default::default() });
        let child = ChildSpec::legacy(address.clone(), move || {
            let clerk = Clerk::new(Arc::clone(&desk), address.clone());
            async move { Ok(clerk) }
        });
        (otp, child)
    }

    /// Mints a code that is about to be mailed; `None` beyond the budget. Earlier codes live out their time.
    ///
    /// # Errors
    /// [`Failure`] when it could not be stored; no code is then good.
    pub async fn mint(&self, wanted: Mint) -> Result<Option<Minted>, Failure> {
        self.address.ask(|reply| Message::Mint(wanted, reply)).await
    }

    /// Whether the code is right, without using it up. A wrong one costs every live code of that address and purpose a try.
    ///
    /// # Errors
    /// [`OtpError`]; for an address without codes the same as for a wrong code.
    pub async fn check(&self, guess: Guess) -> Result<Proof, OtpError> {
        self.address.ask(|reply| Message::Guess(guess, Then::Keep, reply)).await
    }

    /// Checks the code and uses it up, in one step: of many right answers at once, one wins.
    ///
    /// # Errors
    /// As [`Otp::check`].
    pub async fn redeem(&self, guess: Guess) -> Result<Proof, OtpError> {
        self.address.ask(|reply| Message::Guess(guess, Then::Consume, reply)).await
    }

    /// Uses up a code that was checked; false when it is over or somebody else has.
    ///
    /// # Errors
    /// [`Failure`] when the store did not answer; the code may then be used up.
    pub async fn consume(&self, proof: &Proof) -> Result<bool, Failure> {
        self.address.ask(|reply| Message::Consume(proof.clone(), reply)).await
    }

    /// Puts a used code back, with the tries and the time it had left, because what it was for could not be written.
    ///
    /// # Errors
    /// [`Failure`] when the store did not answer; the code then stays used up.
    pub async fn restore(&self, proof: &Proof) -> Result<(), Failure> {
        self.address.ask(|reply| Message::Restore(proof.clone(), reply)).await
    }

    /// Deletes all codes of that address and purpose, and with them what they have used of the budget.
    ///
    /// # Errors
    /// [`Failure`] when the store did not answer; the codes then live out their time.
    pub async fn forget(&self, purpose: Purpose, address: &Email) -> Result<(), Failure> {
        self.address.ask(|reply| Message::Forget(purpose, address.clone(), reply)).await
    }

    /// Whether the store can be reached now. Where not, every call fails.
    pub async fn is_up(&self) -> bool {
        self.codes.is_up().await
    }
}

enum Message {
    Mint(Mint, Reply<Result<Option<Minted>, Failure>>),
    Guess(Guess, Then, Reply<Result<Proof, OtpError>>),
    Consume(Proof, Reply<Result<bool, Failure>>),
    Restore(Proof, Reply<Result<(), Failure>>),
    Forget(Purpose, Email, Reply<Result<(), Failure>>),
    Sweep,
}

/// The actor: hands each letter to an errand.
struct Clerk {
    desk: Arc<Desk>,
    errands: Errands,
    /// What never ends by itself: apart from the errands, which a stop waits for.
    _ticks: Errands,
}

impl Clerk {
    fn new(desk: Arc<Desk>, address: Address<Message>) -> Self {
        let mut ticks = Errands::default();
        ticks.tell_every(desk.settings.sweep_every, desk.rng.clone(), address, || Message::Sweep);
        Self { desk, errands: Errands::default(), _ticks: ticks }
    }
}

impl Actor for Clerk {
    type Message = Message;

    async fn receive(&mut self, message: Message, permit: Permit) {
        let desk = Arc::clone(&self.desk);
        match message {
            Message::Mint(wanted, reply) => self.errands.answer(reply, permit, async move { desk.mint(wanted).await }),
            Message::Guess(guess, then, reply) => {
                self.errands.answer(reply, permit, async move { desk.guess(guess, then).await });
            }
            Message::Consume(proof, reply) => {
                self.errands.answer(reply, permit, async move { desk.consume(proof).await });
            }
            Message::Restore(proof, reply) => {
                self.errands.answer(reply, permit, async move { desk.restore(proof).await });
            }
            Message::Forget(purpose, address, reply) => {
                self.errands.answer(reply, permit, async move { desk.forget(purpose, address).await });
            }
            Message::Sweep => self.errands.run(async move { desk.sweep().await }),
        }
    }

    async fn stop(&mut self) {
        self.errands.finish().await;
    }

    fn observe(&self) -> Value {
        let mut observed = self.desk.observe();
        observed["under_way"] = json!(self.errands.under_way());
        observed["panicked"] = json!(self.errands.panicked());
        observed
    }
}

#[cfg(test)]
mod tests;
