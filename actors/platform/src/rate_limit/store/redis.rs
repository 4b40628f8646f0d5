//! Counters in Redis. Each is a hash of the count and the end of the window, which Redis deletes a minute after the window has ended.
//!
//! A script touches one key. So a request over several counters is counted in each, and refunded in the others when one is full. Between the
//! two, a request of another caller may be refused that would have fitted. No request passes that does not fit.

use std::{sync::LazyLock, time::Duration};

use ::redis::{Pipeline, Script};
use faceofmind_base::Timestamp;

use crate::{
    DependencyError,
    rate_limit::window::{Counted, CounterRequest, Decision},
    redis::RedisClient,
};

static ACQUIRE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("acquire.lua")));
static REFUND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("refund.lua")));
/// A counter outlives its window by this, for nodes whose clocks are behind.
const MARGIN: Duration = Duration::from_secs(60);

/// Counts the uses of each caller in one round trip, and in a second one if a caller was refused.
pub(super) async fn acquire(
    redis: &RedisClient,
    requests: &[Vec<CounterRequest>],
    now: Timestamp,
) -> Result<Vec<Decision>, DependencyError> {
    let mut replies = send(redis, requests, now).await?.into_iter();
    let mut decisions = Vec::with_capacity(requests.len());
    let mut excess = Vec::new();
    for requests in requests {
        let (decision, refunds) = decide(requests, &mut replies, now);
        decisions.push(decision);
        excess.extend(refunds);
    }
    refund(redis, &excess).await?;
    Ok(decisions)
}

/// Whether a use was counted, and when its window ends in microseconds.
type Reply = (bool, i64);

async fn send(
    redis: &RedisClient,
    requests: &[Vec<CounterRequest>],
    now: Timestamp,
) -> Result<Vec<Reply>, DependencyError> {
    let mut pipeline = ::redis::pipe();
    pipeline.load_script(&ACQUIRE).ignore();
    for request in requests.iter().flatten() {
        push(&mut pipeline, request, now);
    }
    redis.send(&pipeline).await
}

fn push(pipeline: &mut Pipeline, request: &CounterRequest, now: Timestamp) {
    let expire_ms = u64::try_from((request.window + MARGIN).as_millis()).unwrap_or(u64::MAX);
    let mut call = ACQUIRE.key(key(&request.name));
    call.arg(now.micros()).arg((now + request.window).micros()).arg(request.max).arg(expire_ms);
    pipeline.invoke_script(&call);
}

/// Returns the decision on one caller's uses, and the counted uses to refund.
fn decide(
    requests: &[CounterRequest],
    replies: &mut impl Iterator<Item = Reply>,
    now: Timestamp,
) -> (Decision, Vec<Counted>) {
    let mut counted = Vec::new();
    let mut wait = None;
    for (request, (was_counted, ends)) in requests.iter().zip(replies) {
        let expires_at = Timestamp::from_micros(ends);
        if was_counted {
            counted.push(Counted { name: request.name.clone(), expires_at });
        } else {
            wait = wait.max(Some((expires_at.since(now), request.limit)));
        }
    }
    match wait {
        None => (Decision::Counted(counted), Vec::new()),
        Some((retry_after, limit)) => (Decision::Refused { limit, retry_after }, counted),
    }
}

/// Takes uses back whose window has not ended.
pub(super) async fn refund(redis: &RedisClient, counted: &[Counted]) -> Result<(), DependencyError> {
    if counted.is_empty() {
        return Ok(());
    }
    let mut pipeline = ::redis::pipe();
    pipeline.load_script(&REFUND).ignore();
    for Counted { name, expires_at } in counted {
        pipeline.invoke_script(REFUND.key(key(name)).arg(expires_at.micros())).ignore();
    }
    redis.send(&pipeline).await
}

fn key(name: &str) -> String {
    format!("fom:limits:{name}")
}
