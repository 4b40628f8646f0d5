//! Counters in Redis, each a hash of count and end, dropped by Redis a minute after its window.
//!
//! A script touches one key, so an order over several counters is counted in each, and taken back from the others when one is full. Between
//! the two another caller may be refused who would just have fitted; nobody is let through who does not fit.

use std::{sync::LazyLock, time::Duration};

use ::redis::{Pipeline, Script};
use faceofmind_base::Timestamp;
use faceofmind_runtime::legacy::Failure;

use crate::rate_limit::window::{Counted, Order, Verdict, Wanted};
use crate::redis::RedisServer;

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("take.lua")));
static GIVE_BACK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("give_back.lua")));
/// Kept so much longer than its window, for nodes whose clocks are behind.
const MARGIN: Duration = Duration::from_secs(60);

/// Counts every order in one round trip, and one more when an order was refused.
pub(super) async fn take(server: &RedisServer, orders: &[Order], now: Timestamp) -> Result<Vec<Verdict>, Failure> {
    let mut answers = send_takes(server, orders, now).await?.into_iter();
    let mut verdicts = Vec::with_capacity(orders.len());
    let mut too_many = Vec::new();
    for order in orders {
        let (verdict, undo) = judge(order, &mut answers, now);
        verdicts.push(verdict);
        too_many.extend(undo);
    }
    give_back(server, &too_many).await?;
    Ok(verdicts)
}

/// Whether each use was counted, and when its window ends in microseconds.
type Answer = (bool, i64);

async fn send_takes(server: &RedisServer, orders: &[Order], now: Timestamp) -> Result<Vec<Answer>, Failure> {
    let mut pipeline = ::redis::pipe();
    pipeline.load_script(&TAKE).ignore();
    for wanted in orders.iter().flatten() {
        ask(&mut pipeline, wanted, now);
    }
    server.send(&pipeline).await
}

fn ask(pipeline: &mut Pipeline, wanted: &Wanted, now: Timestamp) {
    let keep = u64::try_from((wanted.within + MARGIN).as_millis()).unwrap_or(u64::MAX);
    let mut call = TAKE.key(key(&wanted.name));
    call.arg(now.micros()).arg((now + wanted.within).micros()).arg(wanted.most).arg(keep);
    pipeline.invoke_script(&call);
}

/// The verdict on an order, and what of it has to be taken back.
fn judge(order: &Order, answers: &mut impl Iterator<Item = Answer>, now: Timestamp) -> (Verdict, Vec<Counted>) {
    let mut counted = Vec::new();
    let mut wait = None;
    for (wanted, (taken, ends)) in order.iter().zip(answers) {
        let expires_at = Timestamp::from_micros(ends);
        if taken {
            counted.push(Counted { name: wanted.name.clone(), expires_at });
        } else {
            wait = wait.max(Some(expires_at.since(now)));
        }
    }
    match wait {
        None => (Verdict::Taken(counted), Vec::new()),
        Some(retry_after) => (Verdict::Refused { retry_after }, counted),
    }
}

/// Takes uses back, those whose window is not over.
pub(super) async fn give_back(server: &RedisServer, counted: &[Counted]) -> Result<(), Failure> {
    if counted.is_empty() {
        return Ok(());
    }
    let mut pipeline = ::redis::pipe();
    pipeline.load_script(&GIVE_BACK).ignore();
    for Counted { name, expires_at } in counted {
        pipeline.invoke_script(GIVE_BACK.key(key(name)).arg(expires_at.micros())).ignore();
    }
    server.send(&pipeline).await
}

fn key(name: &str) -> String {
    format!("fom:limits:{name}")
}
