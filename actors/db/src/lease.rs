//! One leader among several nodes, by a row that its holder renews. A lease holds no session lock, so that a pgbouncer in transaction
//! mode may stand between.
//!
//! *Requires* the table `leases(name text primary key, holder text not null, expires_at timestamptz not null)`, and clocks of the nodes
//! that differ by much less than a lease's length.

use std::time::Duration;

use faceofmind_base::Timestamp;

use crate::{Database, StoreError, Tx, with_conn};

const ACQUIRE: &str = "INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, $3) \
     ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at \
     WHERE leases.holder = excluded.holder OR leases.expires_at < $4 RETURNING holder";
const RELEASE: &str = "DELETE FROM leases WHERE name = $1 AND holder = $2";

/// Acquires or renews the lease `name` for `length` from `now`. Returns false while another holder has it.
///
/// # Errors
/// [`StoreError`]: a node that cannot reach the database does not lead.
pub async fn acquire(
    db: &Database,
    name: &str,
    holder: &str,
    now: Timestamp,
    length: Duration,
) -> Result<bool, StoreError> {
    let mut tx = db.begin().await?;
    let held = acquire_in_tx(&mut tx, name, holder, now, length).await?;
    tx.commit().await?;
    Ok(held)
}

/// Acquires or renews the lease in the caller's transaction. Until that ends no other holder can acquire it, so what the transaction
/// writes was written by the leader.
///
/// # Errors
/// [`StoreError`].
pub async fn acquire_in_tx(
    tx: &mut Tx,
    name: &str,
    holder: &str,
    now: Timestamp,
    length: Duration,
) -> Result<bool, StoreError> {
    let held: Option<(String,)> = with_conn!(tx.connection(), c => sqlx::query_as(ACQUIRE)
        .bind(name).bind(holder).bind(now + length).bind(now)
        .fetch_optional(c).await)?;
    Ok(held.is_some())
}

/// Releases the lease, so that another node may lead at once.
///
/// # Errors
/// [`StoreError`]: the lease then expires by itself.
pub async fn release(db: &Database, name: &str, holder: &str) -> Result<(), StoreError> {
    let mut tx = db.begin().await?;
    with_conn!(tx.connection(), c => sqlx::query(RELEASE).bind(name).bind(holder).execute(c).await.map(drop))?;
    tx.commit().await
}
