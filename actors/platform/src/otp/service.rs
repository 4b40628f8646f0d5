//! The use cases: limits first, then the store.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use faceofmind_model::{Email, OtpCode};
use secrecy::ExposeSecret as _;

use super::{
    ConsumeCode, Deps, IssueCode, IssuedCode, OtpError, RevokeCodes, Settings, UnconsumeCode, VerifiedCode, VerifyCode,
    messages::CodeKey, store::NewCode,
};
use crate::{
    keyed_hash::KeyedHash,
    rate_limit::{Acquire, Limit, RateLimitKey, Refund},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The use cases of one-time codes, with what they stand on.
pub struct OtpService {
    pub(super) settings: Settings,
    pub(super) deps: Deps,
    pub(super) keys: KeyedHash,
    pub(super) counters: Counters,
}

/// What happened since the program started.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) issued: AtomicU64,
    pub(super) over_quota: AtomicU64,
    pub(super) verified: AtomicU64,
    pub(super) invalid: AtomicU64,
    pub(super) too_many_attempts: AtomicU64,
    pub(super) failed: AtomicU64,
}

impl OtpService {
    pub(super) async fn issue(&self, request: IssueCode) -> Result<Option<IssuedCode>, OtpError> {
        let key = self.key(request.purpose, &request.address);
        let code = OtpCode::from_number(self.deps.rng.random_below(OtpCode::COUNT));
        let new = self.hash(&key, &code, &request);
        if !self.deps.codes.issue(&key, &new, &self.settings.quota).await? {
            count(&self.counters.over_quota);
            return Ok(None);
        }
        count(&self.counters.issued);
        Ok(Some(IssuedCode { code, expires_in: self.settings.lifetime }))
    }

    fn hash(&self, key: &CodeKey, code: &OtpCode, request: &IssueCode) -> NewCode {
        let now = self.deps.clock.now();
        NewCode {
            id: self.deps.rng.uuid_v7(now).to_string(),
            mac: self.mac(key, code.reveal()),
            claim: request.claim,
            job: request.job.to_string(),
            client: self.keys.of(&["client", &request.client]),
            attempts_left: i32::from(self.settings.max_attempts),
            issued_at: now,
            expires_at: now + self.settings.lifetime,
        }
    }

    /// Counts a failure before the look-up, so that concurrent wrong codes are all counted, and refunds it unless the code was wrong.
    pub(super) async fn verify(&self, request: VerifyCode) -> Result<VerifiedCode, OtpError> {
        let acquired = self.deps.limiter.ask(Acquire(self.daily_limits(&request))).await;
        let reservation = acquired.map_err(OtpError::from).inspect_err(|error| self.count_error(error))?;
        let verified = self.look_up(&request).await.inspect_err(|error| self.count_error(error));
        if matches!(verified, Err(OtpError::Invalid)) {
            return verified;
        }
        let _logged = self.deps.limiter.ask(Refund(reservation)).await;
        verified.inspect(|_| count(&self.counters.verified))
    }

    async fn look_up(&self, request: &VerifyCode) -> Result<VerifiedCode, OtpError> {
        let key = self.key(request.purpose, &request.address);
        let mac = self.mac_of_entered(&key, request.code.expose_secret());
        let found = self.deps.codes.verify(&key, &mac, self.deps.clock.now(), request.on_match).await?;
        let (id, claim) = found.ok_or(OtpError::Invalid)?;
        Ok(VerifiedCode { key, id, claim })
    }

    pub(super) async fn consume(&self, ConsumeCode(code): ConsumeCode) -> Result<bool, OtpError> {
        self.deps.codes.consume(&code.key, &code.id, self.deps.clock.now()).await
    }

    pub(super) async fn unconsume(&self, UnconsumeCode(code): UnconsumeCode) -> Result<(), OtpError> {
        self.deps.codes.unconsume(&code.key, &code.id).await
    }

    pub(super) async fn revoke(&self, RevokeCodes { purpose, address }: RevokeCodes) -> Result<(), OtpError> {
        self.deps.codes.revoke(&self.key(purpose, &address)).await
    }

    /// Deletes codes that have expired and that no quota counts.
    pub(super) async fn sweep(&self) -> Result<(), OtpError> {
        let retention = self.settings.lifetime.max(self.settings.quota.window);
        self.deps.codes.sweep(self.deps.clock.now() - retention).await
    }

    fn daily_limits(&self, request: &VerifyCode) -> Vec<RateLimitKey> {
        let (account, client) = (request.address.as_str(), &request.client);
        let daily = |name, max, subject| RateLimitKey { limit: Limit { name, max, window: DAY }, subject };
        let settings = &self.settings;
        vec![
            daily("wrong codes for an account", settings.max_failures_per_day, account.to_owned()),
            daily(
                "wrong codes for an account from one client",
                settings.max_failures_per_day_from_one_client,
                format!("{account} {client}"),
            ),
        ]
    }

    fn key(&self, purpose: super::Purpose, address: &Email) -> CodeKey {
        CodeKey { purpose, address: self.keys.of(&["address", address.as_str()]) }
    }

    fn mac(&self, key: &CodeKey, code: &str) -> String {
        self.keys.of(&["code", key.purpose.as_str(), &key.address, code])
    }

    /// Anything but six digits gets a hash that no code has, so that it is wrong at the same cost.
    fn mac_of_entered(&self, key: &CodeKey, entered: &str) -> String {
        match OtpCode::parse(entered) {
            Some(code) => self.mac(key, code.reveal()),
            None => self.mac(key, ""),
        }
    }

    fn count_error(&self, error: &OtpError) {
        count(match error {
            OtpError::Invalid => &self.counters.invalid,
            OtpError::TooManyAttempts { .. } => &self.counters.too_many_attempts,
            OtpError::Ask(_) | OtpError::Store(_) => &self.counters.failed,
        });
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
