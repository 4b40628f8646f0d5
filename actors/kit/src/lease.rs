//! One leader among several nodes, by a row that has to be renewed. No session lock is held, so a transaction-mode
//! pgbouncer may stand between.
//!
//! Needs the table `leases(name text primary key, holder text not null, expires_at timestamptz not null)`. The nodes' clocks must
//! agree to much less than the lease's length.

use std::time::Duration;

use crate::{Database, Failure, Timestamp, Tx, on};

const TAKE: &str = "INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, $3) \
     ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at \
     WHERE leases.holder = excluded.holder OR leases.expires_at < $4 RETURNING holder";
const LEAVE: &str = "DELETE FROM leases WHERE name = $1 AND holder = $2";

/// Takes the lease `name` for `length` from `now`, or renews it; false while another holds it.
///
/// # Errors
/// [`Failure::Store`]; who cannot reach the database does not lead.
pub async fn take(db: &Database, name: &str, holder: &str, now: Timestamp, length: Duration) -> Result<bool, Failure> {
    let mut tx = db.begin().await?;
    let held = take_in(&mut tx, name, holder, now, length).await?;
    tx.commit().await?;
    Ok(held)
}

/// As [`take`], in the caller's transaction: until it ends nobody else can take the lease, so what it writes was written by the leader.
///
/// # Errors
/// [`Failure::Store`].
pub async fn take_in(tx: &mut Tx, name: &str, holder: &str, now: Timestamp, length: Duration) -> Result<bool, Failure> {
    let held: Option<(String,)> = on!(tx.connection(), c => sqlx::query_as(TAKE)
        .bind(name).bind(holder).bind(now + length).bind(now)
        .fetch_optional(c).await)?;
    Ok(held.is_some())
}

/// Gives the lease back, so that another may lead at once.
///
/// # Errors
/// [`Failure::Store`]; it then runs out by itself.
pub async fn leave(db: &Database, name: &str, holder: &str) -> Result<(), Failure> {
    let mut tx = db.begin().await?;
    on!(tx.connection(), c => sqlx::query(LEAVE).bind(name).bind(holder).execute(c).await.map(drop))?;
    tx.commit().await
}
