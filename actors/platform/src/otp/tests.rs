//! Codes over every store.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use faceofmind_base::{Clock, Rng};
use faceofmind_model::{ClaimId, Email, UserId};
use faceofmind_runtime::{AskError, Handle, SupervisorHandle};
use uuid::Uuid;

use super::*;
use crate::{
    rate_limit::{self, Counters, RateLimiter},
    testing,
};

mod at_rest;
mod quota;
mod right_codes;
mod wrong_codes;

const MINUTE: Duration = Duration::from_secs(60);
const ADA: &str = "ada@example.org";
const PHONE: &str = "198.51.100.7";

/// One node: the issuer and its rate limiter.
struct Node {
    otp: Handle<OtpIssuer>,
    codes: CodeStore,
    clock: Clock,
    tree: SupervisorHandle,
}

impl Node {
    async fn new(settings: Settings, codes: CodeStore, key: &[u8]) -> Self {
        let (clock, rng) = (Clock::system(), Rng::system());
        let counters = match codes.clone() {
            CodeStore::Sql(db) => Counters::Sql(db),
            CodeStore::Redis(redis) => Counters::Redis(redis),
        };
        let key = key.to_vec();
        let deps = rate_limit::Deps { counters, key: key.clone(), clock: clock.clone(), rng: rng.clone() };
        let (limiter, limiting) = RateLimiter::new(rate_limit::Settings::default(), deps);
        let deps = Deps { codes: codes.clone(), key, limiter, clock: clock.clone(), rng };
        let (otp, issuing) = OtpService::actor(settings, deps);
        let tree = testing::supervise(vec![limiting, issuing], &clock).await;
        Self { otp, codes, clock, tree }
    }

    async fn of(codes: CodeStore) -> Self {
        Self::new(Settings::default(), codes, &Rng::system().bytes::<32>()).await
    }

    /// Issues a code for Ada's new account, for a mail job and a client of its own.
    async fn issued(&self) -> String {
        self.issued_for(Purpose::Verification).await
    }

    async fn issued_for(&self, purpose: Purpose) -> String {
        let request = IssueCode { purpose, ..request(&new_client()) };
        let issued = self.otp.ask(request).await.expect("stored").expect("within the quota");
        assert_eq!(issued.expires_in, 5 * MINUTE);
        issued.code.reveal().to_owned()
    }

    /// Verifies the code without consuming it.
    async fn check(&self, entered: VerifyCode) -> Result<VerifiedCode, OtpError> {
        self.otp.ask(entered).await
    }

    /// Verifies the code and consumes it.
    async fn redeem(&self, entered: VerifyCode) -> Result<VerifiedCode, OtpError> {
        self.otp.ask(VerifyCode { on_match: OnMatch::Consume, ..entered }).await
    }

    async fn consume(&self, code: &VerifiedCode) -> bool {
        self.otp.ask(ConsumeCode(code.clone())).await.expect("answered")
    }

    async fn unconsume(&self, code: &VerifiedCode) {
        self.otp.ask(UnconsumeCode(code.clone())).await.expect("answered");
    }

    async fn stop(self) {
        self.tree.stop(Duration::from_secs(5)).await;
    }
}

async fn everywhere() -> Vec<CodeStore> {
    let databases = testing::databases().await.into_iter().map(CodeStore::Sql);
    databases.chain([CodeStore::Redis(testing::redis())]).collect()
}

fn email(address: &str) -> Email {
    Email::parse(address).expect("an address")
}

/// Returns a client that no other call has.
fn new_client() -> String {
    static HOST: AtomicU32 = AtomicU32::new(0);
    format!("2001:db8::{:x}", HOST.fetch_add(1, Ordering::Relaxed))
}

fn request(client: &str) -> IssueCode {
    IssueCode {
        purpose: Purpose::Verification,
        address: email(ADA),
        claim: Some(ClaimId(7)),
        job: Uuid::from_bytes(Rng::system().bytes()),
        client: client.to_owned(),
        is_known: false,
    }
}

fn entered(code: &str) -> VerifyCode {
    VerifyCode {
        purpose: Purpose::Verification,
        address: email(ADA),
        code: code.into(),
        client: PHONE.to_owned(),
        guesser: Guesser::Stranger,
        on_match: OnMatch::Keep,
    }
}

/// Returns six digits other than these.
fn other_than(code: &str) -> String {
    let last = if code.ends_with('0') { "1" } else { "0" };
    format!("{}{last}", &code[..5])
}

/// Enters a wrong code `times` times in sequence, each from another client.
async fn enter_wrong(node: &Node, code: &str, times: u32) {
    for _ in 0..times {
        let wrong = VerifyCode { client: new_client(), ..entered(&other_than(code)) };
        assert!(is_invalid(&node.redeem(wrong).await));
    }
}

fn is_invalid(result: &Result<VerifiedCode, OtpError>) -> bool {
    matches!(result, Err(OtpError::Invalid))
}
