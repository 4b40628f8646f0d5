//! The actor: requests in progress, and the sweep.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use faceofmind_base::{Clock, Rng};
use faceofmind_runtime::{BackgroundTask, ChildSpec, Handle, Service, ServiceActor, answer_with_service};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    CodeStore, ConsumeCode, IssueCode, IssueQuota, RevokeCodes, UnconsumeCode, VerifyCode,
    limits::Alarm,
    service::{Counters, OtpService},
};
use crate::{keyed_hash::KeyedHash, rate_limit::RateLimiter};

const SWEEP: &str = "otp_sweep";
const SWEEP_INTERVAL: Duration = Duration::from_secs(300);

/// The bounds of codes.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The time from issue to expiry.
    pub lifetime: Duration,
    /// Wrong codes after which a code is no longer valid.
    pub max_attempts: u8,
    pub quota: IssueQuota,
    /// Wrong codes a day for an account, from all strangers. Each counts as often as there are live codes.
    pub max_failures_per_account: u32,
    /// Of them, those from one client. As many more from all networks that the account knows, and by a user who is signed in.
    pub max_failures_per_account_and_client: u32,
    /// Wrong codes a day from one client for all accounts that do not know it.
    pub max_failures_per_client: u32,
    /// Wrong codes an hour for all accounts, beyond which the alarm is raised.
    pub alarm_failures_per_hour: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(300),
            max_attempts: 5,
            quota: IssueQuota::default(),
            max_failures_per_account: 80,
            max_failures_per_account_and_client: 20,
            max_failures_per_client: 50,
            alarm_failures_per_hour: 500,
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

/// What is observable beside the requests. The counts are since the program started.
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
    /// Whether wrong codes over all accounts have risen, so that strangers are slowed down.
    pub alarm: bool,
}

pub type OtpIssuer = ServiceActor<OtpService>;

impl OtpService {
    /// Returns the actor's handle, and the actor to supervise.
    pub fn actor(settings: Settings, deps: Deps) -> (Handle<OtpIssuer>, ChildSpec) {
        let keys = KeyedHash::new(&deps.key, "otp");
        OtpIssuer::new(Arc::new(Self { settings, deps, keys, counters: Counters::default(), alarm: Alarm::default() }))
    }
}

impl Service for OtpService {
    const NAME: &str = "otp";
    const CAPACITY: usize = 1024;
    type Status = Status;

    fn status(&self) -> Status {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Status {
            codes: self.deps.codes.kind(),
            issued: count(&self.counters.issued),
            over_quota: count(&self.counters.over_quota),
            verified: count(&self.counters.verified),
            invalid: count(&self.counters.invalid),
            too_many_attempts: count(&self.counters.too_many_attempts),
            failed: count(&self.counters.failed),
            alarm: self.is_alarmed(),
        }
    }

    fn background_tasks(self: &Arc<Self>) -> Vec<BackgroundTask> {
        let time = (self.deps.clock.clone(), self.deps.rng.clone());
        vec![BackgroundTask::spawn(SWEEP, SWEEP_INTERVAL, time, Arc::clone(self), |service| async move {
            service.sweep().await
        })]
    }
}

answer_with_service! {
    OtpService;
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
        self.background_task(SWEEP).expect("it is spawned").run_now();
    }
}
