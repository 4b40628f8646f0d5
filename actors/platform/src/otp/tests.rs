//! Stories about codes, each told over every store.

use std::sync::atomic::{AtomicU32, Ordering};

use faceofmind_runtime::SupervisorHandle;
use uuid::Uuid;

use super::*;
use crate::rate_limit::{Counters, LimiterSettings};
use crate::testing;
use faceofmind_model::user::ClaimId;

mod at_rest;
mod budget;
mod guessing;
mod redeeming;

const MINUTE: Duration = Duration::from_secs(60);
const ADA: &str = "ada@example.org";
const PHONE: &str = "198.51.100.7";

/// One node: the room with its limiter.
struct Node {
    otp: Otp,
    codes: Codes,
    clock: Clock,
    tree: SupervisorHandle,
}

impl Node {
    async fn new(settings: OtpSettings, codes: Codes, key: &[u8]) -> Self {
        let (clock, rng) = (Clock::system(), Rng::system());
        let counters = match codes.clone() {
            Codes::Sql(db) => Counters::Sql(db),
            Codes::Redis(server) => Counters::Redis(server),
        };
        let (limits, limiter) = Limits::new(LimiterSettings::default(), counters, key, clock.clone(), rng.clone());
        let (otp, child) = Otp::new(settings, codes.clone(), key, limits, clock.clone(), rng);
        let tree = testing::supervise(vec![limiter, child], &clock).await;
        Self { otp, codes, clock, tree }
    }

    async fn of(codes: Codes) -> Self {
        Self::new(OtpSettings::default(), codes, &Rng::system().bytes::<32>()).await
    }

    /// Mints a code for Ada's new account, for an intent of its own that nobody in particular caused.
    async fn minted(&self) -> String {
        self.minted_for(Purpose::Verification).await
    }

    async fn minted_for(&self, purpose: Purpose) -> String {
        let minted =
            self.otp.mint(Mint { purpose, ..mint(&somewhere()) }).await.expect("stored").expect("in the budget");
        assert_eq!(minted.expires_in, 5 * MINUTE);
        minted.code.reveal().to_owned()
    }

    async fn stop(self) {
        self.tree.stop(Duration::from_secs(5)).await;
    }
}

async fn everywhere() -> Vec<Codes> {
    let databases = testing::databases().await.into_iter().map(Codes::Sql);
    databases.chain([Codes::Redis(testing::redis())]).collect()
}

fn email(address: &str) -> Email {
    Email::parse(address).expect("an address")
}

/// A client address that no other call has.
fn somewhere() -> String {
    static HOST: AtomicU32 = AtomicU32::new(0);
    format!("2001:db8::{:x}", HOST.fetch_add(1, Ordering::Relaxed))
}

fn mint(client: &str) -> Mint {
    Mint {
        purpose: Purpose::Verification,
        address: email(ADA),
        claim: Some(ClaimId(7)),
        intent: Uuid::from_bytes(Rng::system().bytes()),
        client: client.to_owned(),
    }
}

fn typed(code: &str) -> Guess {
    let client = PHONE.to_owned();
    Guess { purpose: Purpose::Verification, address: email(ADA), code: code.into(), client }
}

/// Six digits that are not these.
fn other_than(code: &str) -> String {
    let last = if code.ends_with('0') { "1" } else { "0" };
    format!("{}{last}", &code[..5])
}

/// Guesses wrong, one after the other, each from somewhere else.
async fn guess_wrong(otp: &Otp, code: &str, times: u32) {
    for _ in 0..times {
        let guess = Guess { client: somewhere(), ..typed(&other_than(code)) };
        assert!(matches!(otp.redeem(guess).await, Err(OtpError::Wrong)));
    }
}

fn is_wrong(answer: &Result<Proof, OtpError>) -> bool {
    matches!(answer, Err(OtpError::Wrong))
}
