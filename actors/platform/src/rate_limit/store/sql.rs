//! Counters in the table `counters`. Every transaction locks its rows in the order of their names, so that nodes do not deadlock.

use std::{collections::BTreeMap, time::Duration};

use faceofmind_base::Timestamp;
use faceofmind_db::{Database, StoreError, Tx, with_conn};

use crate::rate_limit::window::{self, Counted, CounterRequest, Decision, Window, Windows};

const ADD: &str = "INSERT INTO counters (name, count, expires_at) VALUES ($1, $2, $3) \
     ON CONFLICT (name) DO UPDATE SET \
     count = CASE WHEN counters.expires_at <= $4 THEN excluded.count ELSE counters.count + excluded.count END, \
     expires_at = CASE WHEN counters.expires_at <= $4 THEN excluded.expires_at ELSE counters.expires_at END \
     RETURNING count, expires_at";
const CORRECT: &str = "UPDATE counters SET count = $2 WHERE name = $1";
const REFUND: &str = "UPDATE counters SET count = count - 1 WHERE name = $1 AND expires_at = $2 AND count > 0";
const EXPIRED: &str = "SELECT name FROM counters WHERE expires_at <= $1 LIMIT $2";
const SWEEP: &str = "DELETE FROM counters WHERE name = $1 AND expires_at <= $2";
/// The most rows that one transaction of the sweep deletes.
const SWEEP_SIZE: usize = 500;

/// Counts the uses of each caller in one transaction: one statement a counter, and one more for each counter of a refused caller.
pub(super) async fn acquire(
    db: &Database,
    requests: &[Vec<CounterRequest>],
    now: Timestamp,
) -> Result<Vec<Decision>, StoreError> {
    let mut tx = db.begin().await?;
    let mut windows = Windows::new();
    let mut written = BTreeMap::new();
    for (name, (uses, length)) in sum(requests) {
        let after = add(&mut tx, name, uses, now + length, now).await?;
        written.insert(name, after.count);
        windows.insert(name.to_owned(), Window { count: after.count - uses, ..after });
    }
    let decisions = requests.iter().map(|requests| window::count(requests, &mut windows, now)).collect();
    for (name, window) in windows.iter().filter(|(name, window)| written.get(name.as_str()) != Some(&window.count)) {
        with_conn!(tx.connection(), c => sqlx::query(CORRECT).bind(name).bind(window.count).execute(c).await.map(drop))?;
    }
    tx.commit().await?;
    Ok(decisions)
}

/// Returns the number of requested uses of each counter, and the length of its window, by name.
fn sum(requests: &[Vec<CounterRequest>]) -> BTreeMap<&str, (i64, Duration)> {
    let mut sums = BTreeMap::new();
    for request in requests.iter().flatten() {
        sums.entry(request.name.as_str()).or_insert((0, request.window)).0 += 1;
    }
    sums
}

async fn add(tx: &mut Tx, name: &str, uses: i64, ends: Timestamp, now: Timestamp) -> Result<Window, StoreError> {
    let (count, expires_at) = with_conn!(tx.connection(), c => sqlx::query_as(ADD)
        .bind(name).bind(uses).bind(ends).bind(now)
        .fetch_one(c).await)?;
    Ok(Window { count, expires_at })
}

/// Takes uses back whose window has not ended.
pub(super) async fn refund(db: &Database, mut counted: Vec<Counted>) -> Result<(), StoreError> {
    counted.sort_by(|one, other| one.name.cmp(&other.name));
    let mut tx = db.begin().await?;
    for Counted { name, expires_at } in counted {
        with_conn!(tx.connection(), c => sqlx::query(REFUND).bind(name).bind(expires_at).execute(c).await.map(drop))?;
    }
    tx.commit().await
}

/// Deletes counters whose window has ended.
pub(super) async fn sweep(db: &Database, now: Timestamp) -> Result<(), StoreError> {
    loop {
        let names = expired(db, now).await?;
        delete(db, &names, now).await?;
        if names.len() < SWEEP_SIZE {
            return Ok(());
        }
    }
}

async fn expired(db: &Database, now: Timestamp) -> Result<Vec<String>, StoreError> {
    let mut reader = db.read_conn().await?;
    let rows: Vec<(String,)> = with_conn!(reader.connection(), c => sqlx::query_as(EXPIRED)
        .bind(now).bind(SWEEP_SIZE as i64)
        .fetch_all(c).await)?;
    let mut names: Vec<_> = rows.into_iter().map(|(name,)| name).collect();
    names.sort();
    Ok(names)
}

async fn delete(db: &Database, names: &[String], now: Timestamp) -> Result<(), StoreError> {
    if names.is_empty() {
        return Ok(());
    }
    let mut tx = db.begin().await?;
    for name in names {
        with_conn!(tx.connection(), c => sqlx::query(SWEEP).bind(name).bind(now).execute(c).await.map(drop))?;
    }
    tx.commit().await
}
