//! Codes in Redis: a hash for each address and purpose, a field for each code. Every step is one script over one key, which Redis runs
//! undivided. What the time is, our clock says; Redis drops the whole when nobody minted for longer than the budget looks back.

use std::{sync::LazyLock, time::Duration};

use ::redis::Script;
use faceofmind_base::Timestamp;
use faceofmind_runtime::legacy::Failure;
use serde::Serialize;

use super::{Found, NewCode, Then};
use crate::otp::Budget;
use crate::otp::request::Slot;
use crate::redis::RedisServer;
use faceofmind_model::user::ClaimId;

static MINT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/mint.lua")));
static GUESS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/guess.lua")));
static CONSUME: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/consume.lua")));
static RESTORE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/restore.lua")));
/// Kept so much longer than needed, for nodes whose clocks are behind.
const MARGIN: Duration = Duration::from_secs(60);

/// A code as the scripts read it. Times in milliseconds, which Lua's numbers and their print hold exactly; the claim's digits, or nothing.
#[derive(Serialize)]
struct Record<'a> {
    mac: &'a str,
    claim: String,
    intent: &'a str,
    client: &'a str,
    tries: i32,
    minted_at: i64,
    expires_at: i64,
}

pub(super) async fn mint(server: &RedisServer, slot: &Slot, code: &NewCode, budget: &Budget) -> Result<bool, Failure> {
    let life = code.expires_at.since(code.minted_at);
    let keep = u64::try_from((budget.within.max(life) + MARGIN).as_millis()).unwrap_or(u64::MAX);
    let mut call = MINT.key(key(slot));
    call.arg(millis(code.minted_at - budget.within))
        .arg(budget.intents)
        .arg(budget.of_one_client)
        .arg(budget.attempts)
        .arg(&code.id)
        .arg(record(code)?)
        .arg(keep);
    Ok(server.run(&call).await?)
}

fn record(code: &NewCode) -> Result<String, Failure> {
    let record = Record {
        mac: &code.mac,
        claim: code.claim.map(|claim| claim.to_string()).unwrap_or_default(),
        intent: &code.intent,
        client: &code.client,
        tries: code.tries,
        minted_at: millis(code.minted_at),
        expires_at: millis(code.expires_at),
    };
    serde_json::to_string(&record)
        .map_err(|error| Failure::Dependency { service: "Redis", reason: format!("a code cannot be written: {error}") })
}

pub(super) async fn guess(
    server: &RedisServer,
    slot: &Slot,
    mac: &str,
    now: Timestamp,
    then: Then,
) -> Result<Option<Found>, Failure> {
    let mut call = GUESS.key(key(slot));
    call.arg(millis(now)).arg(mac).arg(u8::from(then == Then::Consume));
    let found: Option<(String, String)> = server.run(&call).await?;
    Ok(found.map(|(id, claim)| Found { id, claim: claim.parse().ok().map(ClaimId) }))
}

pub(super) async fn consume(server: &RedisServer, slot: &Slot, id: &str, now: Timestamp) -> Result<bool, Failure> {
    Ok(server.run(CONSUME.key(key(slot)).arg(millis(now)).arg(id)).await?)
}

pub(super) async fn restore(server: &RedisServer, slot: &Slot, id: &str) -> Result<(), Failure> {
    Ok(server.run(RESTORE.key(key(slot)).arg(id)).await?)
}

pub(super) async fn forget(server: &RedisServer, slot: &Slot) -> Result<(), Failure> {
    Ok(server.send(::redis::pipe().del(key(slot)).ignore()).await?)
}

fn key(slot: &Slot) -> String {
    format!("fom:codes:{}:{}", slot.purpose.as_str(), slot.address)
}

fn millis(moment: Timestamp) -> i64 {
    moment.micros().div_euclid(1000)
}
