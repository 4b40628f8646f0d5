//! From a mail job to a sent mail.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use faceofmind_base::Backoff;
use faceofmind_db::StoreError;

use super::{
    Deps, Envelope, Language, SendError,
    queue::{self, MailJob},
};

const BACKOFF: Backoff = Backoff { initial: Duration::from_secs(4), max: Duration::from_secs(3600) };

/// The shortest delay after an attempt whose mail may have arrived. Each further attempt may be a further copy.
const UNCLEAR_DELAY: Duration = Duration::from_secs(600);

/// A job that failed this often is a dead letter. With the backoff's jitter that takes three to six hours.
const MAX_ATTEMPTS: u32 = 16;

/// The deps, and what became of the jobs since the program started. It outlives the actor.
pub(super) struct Delivery {
    pub(super) deps: Deps,
    pub(super) done: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) dead: AtomicU64,
}

/// Why a mail was not sent.
enum DeliveryError {
    /// A later attempt may succeed, after this time or later.
    Transient(String, Duration),
    Permanent(String),
}

impl Delivery {
    pub(super) fn new(deps: Deps) -> Self {
        let [done, retried, dead] = Default::default();
        Self { deps, done, retried, dead }
    }

    /// Claims at most `max` jobs that are due.
    pub(super) async fn claim(&self, max: usize) -> Vec<MailJob> {
        let claimed = queue::claim(&self.deps.db, max, self.deps.clock.now()).await;
        claimed.unwrap_or_else(|error| {
            tracing::warn!(%error, "failed to read the mail queue; the next poll retries");
            Vec::new()
        })
    }

    /// Sends what the job calls for and updates the queue. A job that cannot be updated is claimed again when its claim has expired.
    pub(super) async fn deliver(&self, job: MailJob) {
        let attempted = if job.attempts > MAX_ATTEMPTS { Err(too_many_attempts()) } else { self.attempt(&job).await };
        if let Err(error) = self.update_queue(&job, attempted).await {
            tracing::warn!(%error, mail = %job.id, "failed to update the mail job; it will be sent again");
        }
    }

    async fn update_queue(&self, job: &MailJob, attempted: Result<(), DeliveryError>) -> Result<(), StoreError> {
        let Deps { db, clock, rng, .. } = &self.deps;
        let counter = match attempted {
            Ok(()) => {
                queue::mark_done(db, job).await?;
                if self.deps.transport.has_recovered() {
                    queue::retry_failed(db, clock.now()).await?;
                }
                &self.done
            }
            Err(DeliveryError::Transient(reason, least)) if job.attempts < MAX_ATTEMPTS => {
                let delay = BACKOFF.delay(job.attempts, rng).max(least);
                tracing::warn!(mail = %job.id, reason, delay_s = delay.as_secs(), "mail not sent; it will be retried");
                queue::reschedule(db, job, clock.now() + delay, &reason).await?;
                &self.retried
            }
            Err(DeliveryError::Transient(reason, _) | DeliveryError::Permanent(reason)) => {
                tracing::error!(mail = %job.id, reason, "mail not sent; it is a dead letter");
                queue::dead_letter(db, job, clock.now(), &reason).await?;
                &self.dead
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn attempt(&self, job: &MailJob) -> Result<(), DeliveryError> {
        if job.reason.is_none() {
            return Err(unknown_reason());
        }
        let Deps { composer, renderer, transport, clock, .. } = &self.deps;
        let composed =
            composer.compose(job).await.map_err(|error| DeliveryError::Transient(error.to_string(), Duration::ZERO))?;
        let Some(composed) = composed else { return Ok(()) };
        let language = composed.language.as_deref().map(Language::nearest).unwrap_or_default();
        let envelope =
            Envelope { id: job.id, user: composed.user, to: composed.to.as_str(), date: clock.now(), language };
        let rendered = renderer.render(&composed.template, envelope);
        let mail = rendered.map_err(|error| DeliveryError::Permanent(error.to_string()))?;
        transport.send(&mail).await.map_err(|error| match error {
            SendError::Transient(reason) | SendError::RefusesUs(reason) => {
                DeliveryError::Transient(reason.to_string(), Duration::ZERO)
            }
            SendError::Unclear(reason) => DeliveryError::Transient(reason.to_string(), UNCLEAR_DELAY),
            SendError::Permanent(reason) => DeliveryError::Permanent(reason.to_string()),
        })?;
        tracing::info!(mail = %job.id, template = composed.template.name(), "mail sent");
        Ok(())
    }
}

fn unknown_reason() -> DeliveryError {
    DeliveryError::Permanent("the job's reason cannot be read: another version wrote it".to_owned())
}

/// Each attempt ended with the actor, or the process, that made it.
fn too_many_attempts() -> DeliveryError {
    DeliveryError::Permanent("too many attempts did not finish".to_owned())
}
