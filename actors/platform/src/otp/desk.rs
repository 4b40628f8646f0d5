//! What is done with a letter: limits first, then the store.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use faceofmind_base::{Clock, Rng};
use faceofmind_runtime::legacy::Failure;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{
    Codes, Guess, Mint, Minted, OtpCode, OtpError, OtpSettings, Proof, Purpose,
    request::Slot,
    store::{NewCode, Then},
};
use crate::keyed_hash::KeyedHash;
use crate::rate_limit::{Limit, Limits, Use};
use faceofmind_model::user::Email;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// All that the room works with; it outlives the actor, and its errands share it.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) settings: OtpSettings,
    pub(super) codes: Codes,
    pub(super) keys: KeyedHash,
    pub(super) limits: Limits,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
    pub(super) done: Done,
}

/// What was done since the start, for those who watch.
#[derive(Debug, Default)]
pub(super) struct Done {
    minted: AtomicU64,
    over_budget: AtomicU64,
    right: AtomicU64,
    wrong: AtomicU64,
    too_many: AtomicU64,
    failed: AtomicU64,
}

impl Desk {
    pub(super) async fn mint(&self, wanted: Mint) -> Result<Option<Minted>, Failure> {
        let slot = self.slot(wanted.purpose, &wanted.address);
        let code = OtpCode::from_number(self.rng.random_below(OtpCode::COUNT));
        let new = self.seal(&slot, &code, &wanted);
        if !self.codes.mint(&slot, &new, &self.settings.budget).await? {
            count(&self.done.over_budget);
            return Ok(None);
        }
        count(&self.done.minted);
        Ok(Some(Minted { code, expires_in: self.settings.lifetime }))
    }

    fn seal(&self, slot: &Slot, code: &OtpCode, wanted: &Mint) -> NewCode {
        let now = self.clock.now();
        NewCode {
            id: self.rng.uuid_v7(now).to_string(),
            mac: self.mac(slot, code.reveal()),
            claim: wanted.claim,
            intent: wanted.intent.to_string(),
            client: self.keys.of(&["client", &wanted.client]),
            tries: i32::from(self.settings.tries),
            minted_at: now,
            expires_at: now + self.settings.lifetime,
        }
    }

    /// Counts the guess before looking, so that parallel wrong ones count too, and takes the count back unless it was wrong.
    pub(super) async fn guess(&self, guess: Guess, then: Then) -> Result<Proof, OtpError> {
        let taken =
            self.limits.take(&self.daily(&guess)).await.map_err(OtpError::from).inspect_err(|e| self.note(e))?;
        let proof = self.look(&guess, then).await.inspect_err(|error| self.note(error));
        if matches!(proof, Err(OtpError::Wrong)) {
            return proof;
        }
        self.limits.give_back(taken).await;
        proof.inspect(|_| count(&self.done.right))
    }

    async fn look(&self, guess: &Guess, then: Then) -> Result<Proof, OtpError> {
        let slot = self.slot(guess.purpose, &guess.address);
        let mac = self.mac_of_typed(&slot, guess.code.expose_secret());
        let found = self.codes.guess(&slot, &mac, self.clock.now(), then).await?.ok_or(OtpError::Wrong)?;
        Ok(Proof { slot, id: found.id, claim: found.claim })
    }

    pub(super) async fn consume(&self, proof: Proof) -> Result<bool, Failure> {
        self.codes.consume(&proof.slot, &proof.id, self.clock.now()).await
    }

    pub(super) async fn restore(&self, proof: Proof) -> Result<(), Failure> {
        self.codes.restore(&proof.slot, &proof.id).await
    }

    pub(super) async fn forget(&self, purpose: Purpose, address: Email) -> Result<(), Failure> {
        self.codes.forget(&self.slot(purpose, &address)).await
    }

    /// Deletes codes that are over and that no budget counts any more.
    pub(super) async fn sweep(&self) {
        let kept = self.settings.lifetime.max(self.settings.budget.within);
        match self.codes.sweep(self.clock.now() - kept).await {
            Ok(swept) => tracing::debug!(swept, "swept the codes"),
            Err(failure) => tracing::warn!(%failure, "could not sweep the codes"),
        }
    }

    fn daily(&self, guess: &Guess) -> [Use; 2] {
        let (account, client) = (guess.address.as_str(), &guess.client);
        let a_day = |name, max| Limit { name, max, window: DAY };
        [
            Use { limit: a_day("wrong codes for an account", self.settings.wrong_a_day), subject: account.to_owned() },
            Use {
                limit: a_day("wrong codes for an account from one client", self.settings.wrong_a_day_from_one_client),
                subject: format!("{account} {client}"),
            },
        ]
    }

    fn slot(&self, purpose: Purpose, address: &Email) -> Slot {
        Slot { purpose, address: self.keys.of(&["address", address.as_str()]) }
    }

    fn mac(&self, slot: &Slot, code: &str) -> String {
        self.keys.of(&["code", slot.purpose.as_str(), &slot.address, code])
    }

    /// What is no code hashes to what no code hashes to, and so is wrong at the same price.
    fn mac_of_typed(&self, slot: &Slot, typed: &str) -> String {
        match OtpCode::parse(typed) {
            Some(code) => self.mac(slot, code.reveal()),
            None => self.mac(slot, ""),
        }
    }

    fn note(&self, error: &OtpError) {
        count(match error {
            OtpError::Wrong => &self.done.wrong,
            OtpError::TooMany { .. } => &self.done.too_many,
            OtpError::Failed(_) => &self.done.failed,
        });
    }

    pub(super) fn observe(&self) -> Value {
        let so_far = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        json!({
            "codes": self.codes.kind(),
            "minted": so_far(&self.done.minted),
            "over_budget": so_far(&self.done.over_budget),
            "right": so_far(&self.done.right),
            "wrong": so_far(&self.done.wrong),
            "too_many": so_far(&self.done.too_many),
            "failed": so_far(&self.done.failed),
        })
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
