//! Counters in the table `counters`. Every transaction takes its rows in the order of their names, so that nodes wait for one another in turn
//! and never in a circle.

use std::{collections::BTreeMap, time::Duration};

use faceofmind_base::Timestamp;
use faceofmind_db::{Database, Tx, with_conn};
use faceofmind_runtime::legacy::Failure;

use crate::rate_limit::window;
use crate::rate_limit::window::{Counted, Order, Verdict, Window, Windows};

const ADD: &str = "INSERT INTO counters (name, count, expires_at) VALUES ($1, $2, $3) \
     ON CONFLICT (name) DO UPDATE SET \
     count = CASE WHEN counters.expires_at <= $4 THEN excluded.count ELSE counters.count + excluded.count END, \
     expires_at = CASE WHEN counters.expires_at <= $4 THEN excluded.expires_at ELSE counters.expires_at END \
     RETURNING count, expires_at";
const CORRECT: &str = "UPDATE counters SET count = $2 WHERE name = $1";
const GIVE_BACK: &str = "UPDATE counters SET count = count - 1 WHERE name = $1 AND expires_at = $2 AND count > 0";
const EXPIRED: &str = "SELECT name FROM counters WHERE expires_at <= $1 LIMIT $2";
const SWEEP: &str = "DELETE FROM counters WHERE name = $1 AND expires_at <= $2";
/// Rows that one transaction of the sweep deletes at most.
const SWEPT_AT_ONCE: usize = 500;

/// Counts every order in one transaction: one statement a counter, and one more for each where an order was refused.
pub(super) async fn take(db: &Database, orders: &[Order], now: Timestamp) -> Result<Vec<Verdict>, Failure> {
    let mut tx = db.begin().await?;
    let mut windows = Windows::new();
    let mut written = BTreeMap::new();
    for (name, (uses, within)) in sum(orders) {
        let after = add(&mut tx, name, uses, now + within, now).await?;
        written.insert(name, after.count);
        windows.insert(name.to_owned(), Window { count: after.count - uses, ..after });
    }
    let verdicts = orders.iter().map(|order| window::count(order, &mut windows, now)).collect();
    for (name, window) in windows.iter().filter(|(name, window)| written.get(name.as_str()) != Some(&window.count)) {
        with_conn!(tx.connection(), c => sqlx::query(CORRECT).bind(name).bind(window.count).execute(c).await.map(drop))?;
    }
    tx.commit().await?;
    Ok(verdicts)
}

/// How often each counter is wanted, by name.
fn sum(orders: &[Order]) -> BTreeMap<&str, (i64, Duration)> {
    let mut sums = BTreeMap::new();
    for wanted in orders.iter().flatten() {
        sums.entry(wanted.name.as_str()).or_insert((0, wanted.within)).0 += 1;
    }
    sums
}

async fn add(tx: &mut Tx, name: &str, uses: i64, ends: Timestamp, now: Timestamp) -> Result<Window, Failure> {
    let (count, expires_at) = with_conn!(tx.connection(), c => sqlx::query_as(ADD)
        .bind(name).bind(uses).bind(ends).bind(now)
        .fetch_one(c).await)?;
    Ok(Window { count, expires_at })
}

/// Takes uses back, those whose window is not over.
pub(super) async fn give_back(db: &Database, mut counted: Vec<Counted>) -> Result<(), Failure> {
    counted.sort_by(|one, other| one.name.cmp(&other.name));
    let mut tx = db.begin().await?;
    for Counted { name, expires_at } in counted {
        with_conn!(tx.connection(), c => sqlx::query(GIVE_BACK).bind(name).bind(expires_at).execute(c).await.map(drop))?;
    }
    Ok(tx.commit().await?)
}

/// Deletes counters whose window is over.
pub(super) async fn sweep(db: &Database, now: Timestamp) -> Result<u64, Failure> {
    let mut swept = 0;
    loop {
        let names = expired(db, now).await?;
        let last = names.len() < SWEPT_AT_ONCE;
        swept += delete(db, &names, now).await?;
        if last {
            return Ok(swept);
        }
    }
}

async fn expired(db: &Database, now: Timestamp) -> Result<Vec<String>, Failure> {
    let mut reader = db.read_conn().await?;
    let rows: Vec<(String,)> = with_conn!(reader.connection(), c => sqlx::query_as(EXPIRED)
        .bind(now).bind(SWEPT_AT_ONCE as i64)
        .fetch_all(c).await)?;
    let mut names: Vec<_> = rows.into_iter().map(|(name,)| name).collect();
    names.sort();
    Ok(names)
}

async fn delete(db: &Database, names: &[String], now: Timestamp) -> Result<u64, Failure> {
    if names.is_empty() {
        return Ok(0);
    }
    let mut tx = db.begin().await?;
    let mut deleted = 0;
    for name in names {
        deleted += with_conn!(tx.connection(), c => sqlx::query(SWEEP).bind(name).bind(now).execute(c).await
            .map(|done| done.rows_affected()))?;
    }
    tx.commit().await?;
    Ok(deleted)
}
