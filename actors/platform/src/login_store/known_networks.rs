//! The networks that an account knows: those from which its user logged in, or entered what was mailed to the account's address.

use faceofmind_base::Timestamp;
use faceofmind_db::{ReadConn, StoreError, Tx, with_conn};
use faceofmind_model::{UserId, request_context::rate_limit_key};

use super::{RETENTION, client_ips};

/// Returns when the user last entered something mailed from this network, in microseconds, or 0 if the user only logged in from it. `None`
/// for a network that the account does not know. `network` is a rate limit key: that of an IPv6 client stands for many network addresses, of
/// which the user may have another each time.
pub async fn known_since(reader: &mut ReadConn, user: UserId, network: &str) -> Result<Option<i64>, StoreError> {
    let select = "SELECT proven_at FROM known_networks WHERE user_id = $1 AND network = $2";
    let proven: Option<(Timestamp,)> =
        with_conn!(reader.connection(), c => sqlx::query_as(select).bind(user).bind(network).fetch_optional(c).await)?;
    let logged_in = client_ips(reader.connection(), user).await?;
    Ok(proven.map(|(proven_at,)| proven_at.micros()).or(has_one(&logged_in, network).then_some(0)))
}

/// Whether one of these network addresses is of that network.
pub(super) fn has_one(client_ips: &[String], network: &str) -> bool {
    client_ips.iter().any(|client_ip| rate_limit_key(client_ip) == network)
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

pub(super) async fn sweep(tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
    let delete = "DELETE FROM known_networks WHERE proven_at < $1";
    Ok(with_conn!(tx.connection(), c => sqlx::query(delete).bind(now - RETENTION).execute(c).await.map(drop))?)
}
