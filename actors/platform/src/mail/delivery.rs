//! From a mail job to a sent mail.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

use faceofmind_base::{Backoff, Timestamp};
use faceofmind_db::StoreError;
use faceofmind_model::{FoldedNotices, MailReason};
use uuid::Uuid;

use super::{
    Composed, Deps, Envelope, Language, SendError,
    queue::{self, CLAIM_RENEWAL, MailJob, UNCLEAR},
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
    /// Whether a mail could not be composed, so that what composing needs may be down.
    is_suspect: AtomicBool,
    /// Whether it was seen down.
    is_down: AtomicBool,
    /// Whether mails go out again, so that those which wait after a failure are to be tried at once.
    has_recovered: AtomicBool,
    /// When they were last tried at once, in microseconds.
    retried_at: AtomicI64,
}

/// A server that fails now and then would otherwise get all mails that it has put off, again and again.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// What became of an attempt that did not fail.
enum Attempted {
    Sent,
    /// There is nothing to send.
    Nothing,
    /// It may not be sent yet.
    PutOff(Duration),
    /// It waits with others of its kind.
    Folded(FoldedNotices, Duration),
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
        let [is_suspect, is_down, has_recovered] = Default::default();
        let retried_at = AtomicI64::new(0);
        Self { deps, done, retried, dead, is_suspect, is_down, has_recovered, retried_at }
    }

    /// Claims due jobs for the `free` senders, of which the last `for_codes` send codes only.
    pub(super) async fn claim(&self, free: usize, for_codes: usize) -> Vec<MailJob> {
        let claimed = queue::claim(&self.deps.db, free, for_codes, self.deps.clock.now()).await;
        claimed.unwrap_or_else(|error| {
            tracing::warn!(%error, "failed to read the mail queue; the next poll retries");
            Vec::new()
        })
    }

    /// Makes the jobs due that wait for what composing needs, once it is back. It must have been seen down: a mail that cannot be composed for
    /// another reason would be tried all the time.
    pub(super) async fn retry_after_outage(&self) -> Result<(), StoreError> {
        if self.is_suspect.load(Ordering::Relaxed) {
            let is_up = self.deps.composer.is_up().await;
            self.is_suspect.store(!is_up, Ordering::Relaxed);
            if self.is_down.swap(!is_up, Ordering::Relaxed) && is_up {
                self.has_recovered.store(true, Ordering::Relaxed);
            }
        }
        self.retry_failed().await
    }

    async fn retry_failed(&self) -> Result<(), StoreError> {
        let (now, last) = (self.deps.clock.now(), self.retried_at.load(Ordering::Relaxed));
        let is_soon = now < Timestamp::from_micros(last) + RETRY_INTERVAL;
        if is_soon || !self.has_recovered.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let retried = queue::retry_failed(&self.deps.db, now).await;
        match &retried {
            Ok(()) => self.retried_at.store(now.micros(), Ordering::Relaxed),
            Err(_) => self.has_recovered.store(true, Ordering::Relaxed),
        }
        retried
    }

    /// Sends what the job calls for and updates the queue. A job that cannot be updated is claimed again when its claim has expired.
    pub(super) async fn deliver(&self, mut job: MailJob) {
        job.alike = self.find_alike(&job).await.unwrap_or_else(|error| {
            tracing::warn!(%error, mail = %job.id, "failed to find notices like this one; each is a mail of its own");
            Vec::new()
        });
        let attempted = if job.attempts > MAX_ATTEMPTS {
            Err(too_many_attempts())
        } else {
            tokio::select! {
                attempted = self.attempt(&job) => attempted,
                never = self.keep_claim(&job) => match never {},
            }
        };
        let is_sent = matches!(attempted, Ok(Attempted::Sent));
        if let Err(error) = self.update_queue(&job, attempted).await {
            tracing::warn!(%error, mail = %job.id, "failed to update the mail job; it will be sent again");
        }
        if is_sent && self.deps.transport.has_recovered() {
            self.has_recovered.store(true, Ordering::Relaxed);
            if let Err(error) = self.retry_failed().await {
                tracing::warn!(%error, "failed to make the waiting mails due; the next poll retries");
            }
        }
    }

    async fn find_alike(&self, job: &MailJob) -> Result<Vec<(Uuid, MailReason)>, StoreError> {
        match job.reason {
            Some(MailReason::NewDevice { user, .. }) => {
                queue::waiting_new_logins(&self.deps.db, job, user, self.deps.clock.now()).await
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Renews the claim for as long as it is polled.
    async fn keep_claim(&self, job: &MailJob) -> Infallible {
        loop {
            tokio::time::sleep(CLAIM_RENEWAL).await;
            if let Err(error) = queue::renew_claim(&self.deps.db, job, self.deps.clock.now()).await {
                tracing::warn!(%error, "failed to renew the claim of a mail job; unless the next renewal succeeds the mail may be sent twice");
            }
        }
    }

    async fn update_queue(&self, job: &MailJob, attempted: Result<Attempted, DeliveryError>) -> Result<(), StoreError> {
        let Deps { db, clock, rng, .. } = &self.deps;
        let counter = match attempted {
            Ok(Attempted::PutOff(delay)) => return queue::put_off(db, job, clock.now() + delay).await,
            Ok(Attempted::Folded(notices, delay)) => {
                let id = rng.uuid_v7(clock.now());
                return queue::fold(db, job, (id, notices), clock.now() + delay).await;
            }
            Ok(Attempted::Sent | Attempted::Nothing) => {
                queue::mark_done(db, job).await?;
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

    async fn attempt(&self, job: &MailJob) -> Result<Attempted, DeliveryError> {
        if job.reason.is_none() {
            return Err(unknown_reason());
        }
        let Deps { composer, renderer, transport, clock, .. } = &self.deps;
        let composed = composer.compose(job).await.map_err(|error| {
            self.is_suspect.store(true, Ordering::Relaxed);
            tracing::warn!(%error, mail = %job.id, "failed to compose a mail");
            DeliveryError::Transient("not composed; the log says why".to_owned(), Duration::ZERO)
        })?;
        let composed = match composed {
            Composed::Mail(composed) => composed,
            Composed::Nothing => return Ok(Attempted::Nothing),
            Composed::Later(delay) => return Ok(Attempted::PutOff(delay)),
            Composed::Fold(notices, delay) => return Ok(Attempted::Folded(notices, delay)),
        };
        let language = composed.language.as_deref().map(Language::nearest).unwrap_or_default();
        let envelope =
            Envelope { id: job.id, user: composed.user, to: composed.to.as_str(), date: clock.now(), language };
        let rendered = renderer.render(&composed.template, envelope);
        let mail = rendered.map_err(|error| DeliveryError::Permanent(error.to_string()))?;
        transport.send(&mail).await.map_err(|error| match error {
            SendError::Transient(reason) | SendError::RefusesUs(reason) => {
                DeliveryError::Transient(reason.to_string(), Duration::ZERO)
            }
            SendError::Unclear(reason) => DeliveryError::Transient(format!("{UNCLEAR}{reason}"), UNCLEAR_DELAY),
            SendError::Permanent(reason) => DeliveryError::Permanent(reason.to_string()),
        })?;
        tracing::info!(mail = %job.id, template = composed.template.name(), "mail sent");
        Ok(Attempted::Sent)
    }
}

fn unknown_reason() -> DeliveryError {
    DeliveryError::Permanent("the job's reason cannot be read: another version wrote it".to_owned())
}

/// Each attempt ended with the actor, or the process, that made it.
fn too_many_attempts() -> DeliveryError {
    DeliveryError::Permanent("too many attempts did not finish".to_owned())
}
