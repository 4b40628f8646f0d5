//! One leader among several nodes, by a row that its holder renews. A lease holds no session lock, so that a pgbouncer in transaction
//! mode may stand between.
//!
//! *Requires* the table `leases(name text primary key, holder text not null, expires_at timestamptz not null)`. PostgreSQL's clock decides
//! when a lease expires, so the clocks of the nodes may differ.

use std::time::Duration;

use faceofmind_base::Timestamp;
use sqlx::AssertSqlSafe;

use crate::{Connection, Database, StoreError, Tx, with_conn};

/// `$3` is the lease's length in microseconds. A lease that lasts for more than two lengths was written by a clock that was ahead: earlier
/// versions wrote their own.
const ACQUIRE_POSTGRES: &str = "INSERT INTO leases (name, holder, expires_at) \
     VALUES ($1, $2, clock_timestamp() + $3 * interval '1 microsecond') \
     ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at \
     WHERE leases.holder = excluded.holder OR leases.expires_at < clock_timestamp() \
     OR leases.expires_at > clock_timestamp() + 2 * $3 * interval '1 microsecond' RETURNING holder";
/// `$4` is the time.
const ACQUIRE_SQLITE: &str = "INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, $4 + $3) \
     ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at \
     WHERE leases.holder = excluded.holder OR leases.expires_at < $4 RETURNING holder";
const HOLDER: &str = "SELECT holder FROM leases WHERE expires_at > clock_timestamp() ORDER BY name LIMIT 1";
const RELEASE: &str = "DELETE FROM leases WHERE name = $1 AND holder = $2";

/// Acquires or renews the lease `name` for `length`. Returns false while another holder has it. `now` is the time for SQLite, whose file has
/// one process.
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
/// writes was written by the leader. PostgreSQL ends the transaction when it is idle for `length`: a node that freezes in it, or loses its
/// link, keeps the lease no longer than one that is idle.
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
    let micros = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
    let held: Option<(String,)> = match tx {
        Tx::Postgres(_) => {
            let sql = format!("SET LOCAL idle_in_transaction_session_timeout = {}", length.as_millis().max(1));
            tx.on_postgres(sqlx::query(AssertSqlSafe(sql))).await?;
            with_conn!(tx.connection(), c => sqlx::query_as(ACQUIRE_POSTGRES)
                .bind(name).bind(holder).bind(micros).fetch_optional(c).await)?
        }
        Tx::Sqlite(..) => with_conn!(tx.connection(), c => sqlx::query_as(ACQUIRE_SQLITE)
            .bind(name).bind(holder).bind(micros).bind(now).fetch_optional(c).await)?,
    };
    Ok(held.is_some())
}

/// Returns a holder of any lease on PostgreSQL, and keeps others from acquiring one until the transaction ends. None on SQLite, whose file has
/// one process.
pub(crate) async fn lock_and_get_holder(tx: &mut Tx) -> Result<Option<String>, StoreError> {
    tx.on_postgres(sqlx::query("LOCK TABLE leases IN SHARE MODE")).await?;
    match tx.connection() {
        Connection::Postgres(c, state) => {
            let held: Option<(String,)> = sqlx::query_as(HOLDER).fetch_optional(state.executor(c)).await?;
            Ok(held.map(|(holder,)| holder))
        }
        Connection::Sqlite(..) => Ok(None),
    }
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
