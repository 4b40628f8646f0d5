//! The actor: requests in progress, and the sweep.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use faceofmind_base::{Clock, Rng};
use faceofmind_runtime::{
    Actor, BackgroundTask, BackgroundTaskStatus, ChildSpec, Handle, TaskSet, answer_with_service,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    CodeStore, ConsumeCode, IssueCode, IssueQuota, RevokeCodes, UnconsumeCode, VerifyCode,
    service::{Counters, OtpService},
};
use crate::{keyed_hash::KeyedHash, rate_limit::RateLimiter};

const NAME: &str = "otp";
/// Requests queued or in progress.
const CAPACITY: usize = 1024;
const DEADLINE: Duration = Duration::from_secs(10);
const SWEEP_INTERVAL: Duration = Duration::from_secs(300);

/// The bounds of codes.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The time from issue to expiry.
    pub lifetime: Duration,
    /// Wrong codes after which a code is no longer valid.
    pub max_attempts: u8,
    pub quota: IssueQuota,
    /// Wrong codes a day for an account, from all clients.
    pub max_failures_per_day: u32,
    /// Wrong codes a day for an account from one client.
    pub max_failures_per_day_from_one_client: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(300),
            max_attempts: 5,
            quota: IssueQuota::default(),
            max_failures_per_day: 200,
            max_failures_per_day_from_one_client: 20,
        }
    }
}

/// What the actor needs.
pub struct Deps {
    pub codes: CodeStore,
    /// Hashes codes, addresses and clients: 32 bytes or more. With another key all codes are wrong.
    pub key: Vec<u8>,
    pub limiter: Handle<RateLimiter>,
    pub clock: Clock,
    pub rng: Rng,
}

/// The actor's observable state. The counts are since the program started.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    /// Where the codes are.
    pub codes: &'static str,
    pub issued: u64,
    pub over_quota: u64,
    pub verified: u64,
    pub invalid: u64,
    pub too_many_attempts: u64,
    pub failed: u64,
    /// Requests in progress.
    pub in_progress: usize,
    /// Requests that panicked since the actor started.
    pub panics: u64,
    pub sweep: BackgroundTaskStatus,
}

/// The actor.
pub struct OtpIssuer {
    service: Arc<OtpService>,
    tasks: TaskSet,
    sweep: BackgroundTask,
}

impl OtpIssuer {
    /// Returns the handle, and the actor to supervise.
    pub fn new(settings: Settings, deps: Deps) -> (Handle<Self>, ChildSpec) {
        let handle = Handle::new(NAME, CAPACITY, DEADLINE);
        let keys = KeyedHash::new(&deps.key, "otp");
        let service = Arc::new(OtpService { settings, deps, keys, counters: Counters::default() });
        let child = ChildSpec::ready(handle.clone(), move || {
            let time = (service.deps.clock.clone(), service.deps.rng.clone());
            let sweep =
                BackgroundTask::spawn("otp_sweep", SWEEP_INTERVAL, time, Arc::clone(&service), |service| async move {
                    service.sweep().await
                });
            Self { service: Arc::clone(&service), tasks: TaskSet::default(), sweep }
        });
        (handle, child)
    }
}

impl Actor for OtpIssuer {
    type Status = Status;

    fn status(&self) -> Status {
        let OtpService { deps, counters, .. } = &*self.service;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Status {
            codes: deps.codes.kind(),
            issued: count(&counters.issued),
            over_quota: count(&counters.over_quota),
            verified: count(&counters.verified),
            invalid: count(&counters.invalid),
            too_many_attempts: count(&counters.too_many_attempts),
            failed: count(&counters.failed),
            in_progress: self.tasks.len(),
            panics: self.tasks.panics(),
            sweep: self.sweep.status(),
        }
    }

    async fn on_stop(&mut self) {
        self.tasks.join_all().await;
    }
}

answer_with_service! {
    OtpIssuer;
    IssueCode => issue,
    VerifyCode => verify,
    ConsumeCode => consume,
    UnconsumeCode => unconsume,
    RevokeCodes => revoke,
}

/// Deletes expired codes now.
#[cfg(test)]
pub(super) struct Sweep;

#[cfg(test)]
impl faceofmind_runtime::Message for Sweep {
    type Output = ();
    type Error = faceofmind_runtime::AskError;
}

#[cfg(test)]
impl faceofmind_runtime::Handler<Sweep> for OtpIssuer {
    fn handle(&mut self, _: Sweep, _: faceofmind_runtime::ReplyTo<Sweep>) {
        self.sweep.run_now();
    }
}
