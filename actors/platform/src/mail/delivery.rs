//! From an intent to a mail that is sent: what to say is decided here and now.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use faceofmind_base::Backoff;
use faceofmind_runtime::legacy::Failure;
use serde_json::{Value, json};

use super::{
    Envelope, Language, MailerDeps, SendError, Transport,
    intents::{self, Intent},
};

const BACKOFF: Backoff = Backoff { initial: Duration::from_secs(4), max: Duration::from_secs(3600) };

/// After so many failures an intent is dead: in three to six hours, as chance spreads the tries.
const ATTEMPTS: u32 = 16;

/// The desk, the way out, and what became of the mails since the program started; it outlives the actor.
pub(super) struct Dispatch {
    desk: MailerDeps,
    transport: Arc<Transport>,
    settled: AtomicU64,
    put_back: AtomicU64,
    buried: AtomicU64,
}

impl Deref for Dispatch {
    type Target = MailerDeps;

    fn deref(&self) -> &MailerDeps {
        &self.desk
    }
}

/// Why a mail did not leave.
enum Undelivered {
    /// Worth another try.
    Later(String),
    /// Never.
    Never(String),
}

impl From<Failure> for Undelivered {
    fn from(failure: Failure) -> Self {
        Self::Later(failure.to_string())
    }
}

impl Dispatch {
    pub(super) fn new(desk: MailerDeps, transport: Arc<Transport>) -> Self {
        let [settled, put_back, buried] = Default::default();
        Self { desk, transport, settled, put_back, buried }
    }

    pub(super) fn counted(&self) -> Value {
        let so_far = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        json!({ "settled": so_far(&self.settled), "put_back": so_far(&self.put_back), "buried": so_far(&self.buried) })
    }

    /// What is due, at most `most`.
    pub(super) async fn take(&self, most: usize) -> Vec<Intent> {
        let taken = intents::take(&self.db, most, self.clock.now()).await;
        taken.unwrap_or_else(|failure| {
            tracing::warn!(%failure, "the mail queue could not be read");
            Vec::new()
        })
    }

    /// Sends what the intent calls for, and settles it in the queue. What cannot be settled is taken again when it is held no longer.
    pub(super) async fn deliver(&self, intent: Intent) {
        let attempted = if intent.attempts > ATTEMPTS { Err(given_up()) } else { self.attempt(&intent).await };
        if let Err(failure) = self.settle(&intent, attempted).await {
            tracing::warn!(%failure, mail = %intent.id, "a mail could not be settled in the queue: it will be tried again");
        }
    }

    async fn settle(&self, intent: &Intent, attempted: Result<(), Undelivered>) -> Result<(), Failure> {
        let now = self.clock.now();
        let counter = match attempted {
            Ok(()) => {
                intents::settle(&self.db, intent).await?;
                &self.settled
            }
            Err(Undelivered::Later(reason)) if intent.attempts < ATTEMPTS => {
                let wait = BACKOFF.delay(intent.attempts, &self.rng);
                tracing::warn!(mail = %intent.id, reason, wait_s = wait.as_secs(), "a mail did not leave: to be tried again");
                intents::put_back(&self.db, intent, now + wait, &reason).await?;
                &self.put_back
            }
            Err(Undelivered::Later(reason) | Undelivered::Never(reason)) => {
                tracing::error!(mail = %intent.id, reason, "a mail cannot be sent: dead letter");
                intents::bury(&self.db, intent, now, &reason).await?;
                &self.buried
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn attempt(&self, intent: &Intent) -> Result<(), Undelivered> {
        if intent.occasion.is_none() {
            return Err(unreadable());
        }
        let Some(composed) = self.composer.compose(intent).await? else { return Ok(()) };
        let language = composed.language.as_deref().map(Language::nearest).unwrap_or_default();
        let (id, user, to, letter) = (intent.id, composed.user, composed.to.as_str(), composed.letter);
        let envelope = Envelope { id, user, to, date: self.clock.now(), language };
        let mail = self.renderer.render(&letter, envelope).map_err(|error| Undelivered::Never(error.to_string()))?;
        self.transport.send(&mail).await.map_err(|error| match error {
            SendError::Transient(reason) => Undelivered::Later(reason.to_string()),
            SendError::Permanent(reason) => Undelivered::Never(reason.to_string()),
        })?;
        tracing::info!(mail = %intent.id, letter = letter.name(), "sent");
        Ok(())
    }
}

fn unreadable() -> Undelivered {
    Undelivered::Never("the queue does not say why: it was written by another version".to_owned())
}

/// Each attempt before ended with the process, or the actor, that made it.
fn given_up() -> Undelivered {
    Undelivered::Never("it was begun too often and never ended".to_owned())
}
