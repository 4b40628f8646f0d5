//! Codes in Redis: a hash for each address and purpose, with a field for each code. Every step is one script over one key, which is atomic.
//! Expiry follows the program's clock. Redis deletes a hash when no code was issued in it for longer than the quota's window.

use std::{sync::LazyLock, time::Duration};

use ::redis::Script;
use faceofmind_base::Timestamp;
use faceofmind_model::ClaimId;
use serde::{Deserialize, Serialize};

use super::{FoundCode, NewCode, OnMiss};
use crate::{
    DependencyError,
    otp::{
        IssueQuota, OnMatch,
        messages::CodeKey,
        quota::{KNOWN, MAX_CODE_ATTEMPTS},
    },
    redis::RedisClient,
};

static ISSUE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/issue.lua")));
static VERIFY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/verify.lua")));
static CONSUME: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/consume.lua")));
static UNCONSUME: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/unconsume.lua")));
/// A hash outlives its codes by this, for nodes whose clocks are behind.
const MARGIN: Duration = Duration::from_secs(60);

/// A code as the scripts read it. Times are in milliseconds, which Lua's numbers hold exactly. `claim` is its digits, or empty.
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

pub(super) async fn issue(
    redis: &RedisClient,
    key: &CodeKey,
    code: &NewCode,
    quota: &IssueQuota,
) -> Result<bool, DependencyError> {
    let lifetime = code.expires_at.since(code.issued_at);
    let expire_ms = u64::try_from((quota.window.max(lifetime) + MARGIN).as_millis()).unwrap_or(u64::MAX);
    let mut call = ISSUE.key(name(key));
    call.arg(millis(code.issued_at - quota.window))
        .arg(quota.max_mails)
        .arg(quota.max_per_client)
        .arg(quota.max_attempts)
        .arg(&code.id)
        .arg(record(code)?)
        .arg(expire_ms)
        .arg(KNOWN)
        .arg(MAX_CODE_ATTEMPTS);
    redis.run(&call).await
}

fn record(code: &NewCode) -> Result<String, DependencyError> {
    let record = Record {
        mac: &code.mac,
        claim: code.claim.map(|claim| claim.to_string()).unwrap_or_default(),
        intent: &code.job,
        client: &code.client,
        tries: code.attempts_left,
        minted_at: millis(code.issued_at),
        expires_at: millis(code.expires_at),
    };
    serde_json::to_string(&record)
        .map_err(|error| DependencyError { service: "Redis", reason: format!("a code cannot be encoded: {error}") })
}

pub(super) async fn verify(
    redis: &RedisClient,
    key: &CodeKey,
    mac: &str,
    now: Timestamp,
    (on_match, on_miss): (OnMatch, OnMiss),
) -> Result<Option<FoundCode>, DependencyError> {
    let mut call = VERIFY.key(name(key));
    let (consume, count) = (on_match == OnMatch::Consume, on_miss == OnMiss::CountFailure);
    call.arg(millis(now)).arg(mac).arg(u8::from(consume)).arg(u8::from(count));
    let found: Option<(String, String)> = redis.run(&call).await?;
    Ok(found.map(|(id, claim)| (id, claim.parse().ok().map(ClaimId))))
}

/// What counts of a stored code.
#[derive(Deserialize)]
struct Liveness {
    tries: i32,
    expires_at: i64,
}

pub(super) async fn count_live(
    redis: &RedisClient,
    key: &CodeKey,
    now: Timestamp,
    max_attempts: i32,
) -> Result<usize, DependencyError> {
    let (codes,): (Vec<String>,) = redis.send(::redis::pipe().cmd("HVALS").arg(name(key))).await?;
    let codes = codes.iter().filter_map(|code| serde_json::from_str::<Liveness>(code).ok());
    let is_live = |code: &Liveness| (1..=max_attempts).contains(&code.tries) && code.expires_at > millis(now);
    Ok(codes.filter(is_live).count())
}

pub(super) async fn consume(
    redis: &RedisClient,
    key: &CodeKey,
    id: &str,
    now: Timestamp,
) -> Result<bool, DependencyError> {
    redis.run(CONSUME.key(name(key)).arg(millis(now)).arg(id)).await
}

pub(super) async fn unconsume(redis: &RedisClient, key: &CodeKey, id: &str) -> Result<(), DependencyError> {
    redis.run(UNCONSUME.key(name(key)).arg(id)).await
}

pub(super) async fn revoke(redis: &RedisClient, key: &CodeKey) -> Result<(), DependencyError> {
    redis.send(::redis::pipe().del(name(key)).ignore()).await
}

fn name(key: &CodeKey) -> String {
    format!("fom:codes:{}:{}", key.purpose.as_str(), key.address)
}

fn millis(moment: Timestamp) -> i64 {
    moment.micros().div_euclid(1000)
}
