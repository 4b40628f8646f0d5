//! The networks that an account knows: those from which its user logged in, or entered what was mailed to the account's address.

use faceofmind_base::Timestamp;
use faceofmind_db::{ReadConn, StoreError, Tx, with_conn};
use faceofmind_model::UserId;

use super::{RETENTION, has_login};

/// Returns when the user last entered something mailed from this network, in microseconds, or 0 if the user only logged in from it. `None`
/// for a network that the account does not know. `network` is a rate limit key: that of an IPv6 client stands for many network addresses, of
/// which the user may have another each time.
pub async fn known_since(reader: &mut ReadConn, user: UserId, network: &str) -> Result<Option<i64>, StoreError> {
    let select = "SELECT proven_at FROM known_networks WHERE user_id = $1 AND network = $2";
    let proven: Option<(Timestamp,)> =
        with_conn!(reader.connection(), c => sqlx::query_as(select).bind(user).bind(network).fetch_optional(c).await)?;
    let logged_in = has_login(reader.connection(), user, network, None).await?;
    Ok(proven.map(|(proven_at,)| proven_at.micros()).or(logged_in.then_some(0)))
}

/// Records that the user entered something mailed to the account's address, from this network.
pub async fn remember_network(tx: &mut Tx, user: UserId, network: &str, now: Timestamp) -> Result<(), StoreError> {
    let upsert = "INSERT INTO known_networks (user_id, network, proven_at) VALUES ($1, $2, $3) \
        ON CONFLICT (user_id, network) DO UPDATE SET proven_at = excluded.proven_at";
    Ok(
        with_conn!(tx.connection(), c => sqlx::query(upsert).bind(user).bind(network).bind(now).execute(c).await.map(drop))?,
    )
}

pub(super) async fn erase(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    let delete = "DELETE FROM known_networks WHERE user_id = $1";
    Ok(with_conn!(tx.connection(), c => sqlx::query(delete).bind(user).execute(c).await.map(drop))?)
}

/// Deletes up to a thousand networks that were last proven before the retention period. Returns how many.
pub(super) async fn sweep(tx: &mut Tx, now: Timestamp) -> Result<u64, StoreError> {
    let delete = "DELETE FROM known_networks WHERE id IN \
        (SELECT id FROM known_networks WHERE proven_at < $1 ORDER BY proven_at LIMIT 1000)";
    Ok(
        with_conn!(tx.connection(), c => sqlx::query(delete).bind(now - RETENTION).execute(c).await.map(|done| done.rows_affected()))?,
    )
}
