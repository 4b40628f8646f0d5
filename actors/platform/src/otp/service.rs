//! The use cases: limits first, then the store.

use std::sync::atomic::{AtomicU64, Ordering};

use faceofmind_model::{Email, LinkToken, OtpCode};
use secrecy::ExposeSecret as _;

use super::{
    ConsumeCode, Deps, IssueCode, IssuedCode, OtpError, Purpose, RevokeCodes, Settings, UnconsumeCode, VerifiedCode,
    VerifyCode,
    limits::Alarm,
    messages::CodeKey,
    quota::KNOWN,
    store::{NewCode, OnMiss},
};
use crate::{
    keyed_hash::KeyedHash,
    rate_limit::{Acquire, Refund, Reservation},
};

/// So many that wrong codes, each of which costs a live link an attempt too, do not use them up.
const LINK_ATTEMPTS: i32 = 1_000_000;

/// The use cases of one-time codes, with what they stand on.
pub struct OtpService {
    pub(super) settings: Settings,
    pub(super) deps: Deps,
    pub(super) keys: KeyedHash,
    pub(super) counters: Counters,
    pub(super) alarm: Alarm,
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
        let new = self.new_code(self.mac(&key, code.reveal()), i32::from(self.settings.max_attempts), &request);
        if !self.deps.codes.issue(&key, &new, &self.settings.quota).await? {
            count(&self.counters.over_quota);
            return Ok(None);
        }
        let link = self.issue_link(&key, &request).await?;
        count(&self.counters.issued);
        Ok(Some(IssuedCode { code, link, expires_in: self.settings.lifetime }))
    }

    /// Issues a link beside the code if limits keep strangers from entering the code. A user who is signed in has limits of their own.
    async fn issue_link(&self, key: &CodeKey, request: &IssueCode) -> Result<Option<LinkToken>, OtpError> {
        let needs_no_link = request.purpose == Purpose::EmailChange;
        if needs_no_link || !self.is_barred(key, &request.address, &request.client).await? {
            return Ok(None);
        }
        let link = LinkToken::new(self.deps.rng.bytes());
        let new = self.new_code(self.mac_of_link(key, &link), LINK_ATTEMPTS, request);
        Ok(self.deps.codes.issue(key, &new, &self.settings.quota).await?.then_some(link))
    }

    fn new_code(&self, mac: String, attempts_left: i32, request: &IssueCode) -> NewCode {
        let now = self.deps.clock.now();
        let client = self.keys.of(&["client", &request.client]);
        NewCode {
            id: self.deps.rng.uuid_v7(now).to_string(),
            mac,
            claim: request.claim,
            job: request.job.to_string(),
            client: if request.is_known { format!("{KNOWN}{client}") } else { client },
            attempts_left,
            issued_at: now,
            expires_at: now + self.settings.lifetime,
        }
    }

    /// Counts a failure before the look-up, so that concurrent wrong codes are all counted, and refunds it unless the code was wrong. The
    /// token of a link is not counted and costs no code an attempt: it cannot be guessed.
    pub(super) async fn verify(&self, request: VerifyCode) -> Result<VerifiedCode, OtpError> {
        let key = self.key(request.purpose, &request.address);
        if let Some(link) = LinkToken::parse(request.code.expose_secret()) {
            let mac = self.mac_of_link(&key, &link);
            return self.look_up(&request, key, &mac, OnMiss::Ignore).await.inspect(|_| count(&self.counters.verified));
        }
        let reservation = self.reserve(&request, &key).await.inspect_err(|error| self.count_error(error))?;
        let mac = self.mac_of_entered(&key, request.code.expose_secret());
        let verified = self.look_up(&request, key, &mac, OnMiss::CountFailure).await;
        let verified = verified.inspect_err(|error| self.count_error(error));
        if matches!(verified, Err(OtpError::Invalid)) {
            self.watch_all_accounts().await;
            return verified;
        }
        let _logged = self.deps.limiter.ask(Refund(reservation)).await;
        verified.inspect(|_| count(&self.counters.verified))
    }

    async fn reserve(&self, request: &VerifyCode, key: &CodeKey) -> Result<Reservation, OtpError> {
        self.slow_down(request.guesser).await?;
        let weight = self.weight(key).await?;
        let limits = self.limits(request.guesser, &request.address, &request.client, weight);
        Ok(self.deps.limiter.ask(Acquire(limits)).await?)
    }

    async fn look_up(
        &self,
        request: &VerifyCode,
        key: CodeKey,
        mac: &str,
        on_miss: OnMiss,
    ) -> Result<VerifiedCode, OtpError> {
        let found = self.deps.codes.verify(&key, mac, self.deps.clock.now(), (request.on_match, on_miss)).await?;
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

    fn key(&self, purpose: Purpose, address: &Email) -> CodeKey {
        CodeKey { purpose, address: self.keys.of(&["address", address.as_str()]) }
    }

    fn mac(&self, key: &CodeKey, code: &str) -> String {
        self.keys.of(&["code", key.purpose.as_str(), &key.address, code])
    }

    fn mac_of_link(&self, key: &CodeKey, link: &LinkToken) -> String {
        self.keys.of(&["link", key.purpose.as_str(), &key.address, link.reveal()])
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
