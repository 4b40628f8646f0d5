//! Where a batch is written: all in one transaction, or, when that fails, each alone, so that a bad row fails alone.

use std::{
    slice,
    sync::atomic::{AtomicU64, Ordering},
};

use faceofmind_base::{Clock, Rng};
use faceofmind_db::Database;
use faceofmind_runtime::{
    Handle,
    legacy::{Failure, Permit, Reply},
};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{
    detection::{Comfort, Detection},
    feedback::Rating,
    made::Made,
    session::{SessionError, SessionId},
    sitting::Sitting,
    trap::Trap,
};
use crate::suggestions::Advice;
use faceofmind_model::event::EventContext;
use faceofmind_model::user::UserId;
use faceofmind_platform::encryption;
use faceofmind_platform::encryption::Keyring;
use faceofmind_platform::idempotency::{Key, Once};
use faceofmind_platform::outbox::{Publisher, Wake};

/// What is to be done, for whom, and who waits for it.
pub(super) struct Write {
    pub(super) user: UserId,
    pub(super) change: Change,
    pub(super) origin: EventContext,
    /// The same change under the same key is made once.
    pub(super) key: Option<Key>,
    pub(super) reply: Reply<Outcome>,
    pub(super) permit: Permit,
}

/// What may be done to sessions.
pub(super) enum Change {
    Start,
    Detect { session: SessionId, detections: Vec<Detection>, crisis: Option<Comfort> },
    Process { session: SessionId, detection: Detection, advice: Advice },
    Rate(SessionId, Rating),
    End(SessionId),
    Delete(SessionId),
}

impl Change {
    /// The session that it concerns.
    pub(super) fn session(&self) -> Option<SessionId> {
        match self {
            Self::Start => None,
            Self::Detect { session, .. } | Self::Process { session, .. } => Some(*session),
            Self::Rate(id, _) | Self::End(id) | Self::Delete(id) => Some(*id),
        }
    }

    /// How many rows it writes, where it writes most.
    pub(super) fn rows(&self) -> usize {
        if let Self::Detect { detections, .. } = self { detections.len() } else { 1 }
    }
}

/// What came of it.
pub(super) type Outcome = Result<Once<Made>, SessionError>;

/// What a write takes.
#[derive(Clone)]
pub(super) struct Means {
    pub(super) db: Database,
    pub(super) publisher: Handle<Publisher>,
    pub(super) keyring: Keyring,
    pub(super) time_zone: TimeZone,
    pub(super) trap: Trap,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
}

/// Writes batches.
pub(super) struct Desk {
    pub(super) means: Means,
    batches: AtomicU64,
    taken_apart: AtomicU64,
    written: AtomicU64,
    refused: AtomicU64,
}

impl Desk {
    pub(super) fn new(means: Means) -> Self {
        let [batches, taken_apart, written, refused] = Default::default();
        Self { means, batches, taken_apart, written, refused }
    }

    /// Writes a batch and answers everyone in it who still waits.
    pub(super) async fn write(&self, mut batch: Vec<Write>) {
        batch.retain(|write| !write.permit.is_orphaned());
        if batch.is_empty() {
            return;
        }
        self.batches.fetch_add(1, Ordering::Relaxed);
        match self.commit(&batch).await {
            Ok(outcomes) => self.answer(batch, outcomes),
            Err(failure) if batch.len() > 1 && is_of_a_row(&failure) => {
                tracing::warn!(rows = batch.len(), error = %failure, "a batch failed: its rows are written singly");
                self.taken_apart.fetch_add(1, Ordering::Relaxed);
                self.write_singly(batch).await;
            }
            Err(failure) => self.refuse(batch, failure),
        }
    }

    async fn write_singly(&self, batch: Vec<Write>) {
        let mut rest = batch.into_iter();
        while let Some(write) = rest.next() {
            if write.permit.is_orphaned() {
                continue;
            }
            match self.commit(slice::from_ref(&write)).await {
                Ok(outcomes) => self.answer(vec![write], outcomes),
                Err(failure) if is_of_a_row(&failure) => self.refuse(vec![write], failure),
                Err(failure) => return self.refuse([write].into_iter().chain(rest).collect(), failure),
            }
        }
    }

    /// All of the batch, or nothing.
    async fn commit(&self, batch: &[Write]) -> Result<Vec<Outcome>, Failure> {
        let tx = self.means.db.begin().await?;
        let mut sitting = Sitting::new(tx, batch, &self.means);
        sitting.work().await?;
        let (outcomes, told) = sitting.close().await?;
        if told {
            self.means.publisher.tell(Wake);
        }
        Ok(outcomes)
    }

    fn answer(&self, batch: Vec<Write>, outcomes: Vec<Outcome>) {
        for (write, outcome) in batch.into_iter().zip(outcomes) {
            let counter = if outcome.is_ok() { &self.written } else { &self.refused };
            counter.fetch_add(1, Ordering::Relaxed);
            write.reply.send(outcome);
        }
    }

    fn refuse(&self, batch: Vec<Write>, failure: Failure) {
        self.refused.fetch_add(batch.len() as u64, Ordering::Relaxed);
        let reason = failure.to_string();
        let mut first = Some(explained(failure));
        for write in batch {
            let again = || Failure::Dependency { service: "the batch", reason: reason.clone() }.into();
            write.reply.send(Err(first.take().unwrap_or_else(again)));
        }
    }

    /// Since the actor's start.
    pub(super) fn counters(&self) -> Value {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        json!({ "batches": read(&self.batches), "taken_apart": read(&self.taken_apart),
                "written": read(&self.written), "refused": read(&self.refused) })
    }
}

/// Whether one of the rows may be to blame: the database refused it, or what it holds of it cannot be read. Not when it was out of reach.
fn is_of_a_row(failure: &Failure) -> bool {
    match failure {
        Failure::Store(error) => error.is_row_error(),
        Failure::Dependency { service, .. } => *service == encryption::SERVICE,
        _ => false,
    }
}

/// What can be missing is the user alone: of an idempotency key, or of a session; the others' sessions are locked.
fn explained(failure: Failure) -> SessionError {
    match &failure {
        Failure::Store(error) if error.is_foreign_key_violation() => SessionError::NotFound,
        _ => SessionError::Failed(failure),
    }
}
