//! The SQL of `address_changes`: the new address that a user has requested, until the code that was sent to it is entered.

use std::time::Duration;

use faceofmind_base::Timestamp;
use faceofmind_db::{Connection, StoreError, Tx, with_conn};
use faceofmind_model::{ClaimId, Email, UserId};

/// Longer than the attempts to send the mail and the life of its code.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Stores the requested address in the place of an earlier one. The same address again keeps its id, so that codes already sent stay valid.
pub(super) async fn upsert(tx: &mut Tx, user: UserId, address: &Email, now: Timestamp) -> Result<ClaimId, StoreError> {
    let replace = "DELETE FROM address_changes WHERE user_id = $1 AND address <> $2";
    with_conn!(tx.connection(), c => sqlx::query(replace).bind(user).bind(address.as_str()).execute(c).await.map(drop))?;
    let insert = "INSERT INTO address_changes (user_id, address, requested_at) VALUES ($1, $2, $3) \
        ON CONFLICT (user_id) DO UPDATE SET requested_at = excluded.requested_at RETURNING id";
    let (id,): (ClaimId,) = with_conn!(tx.connection(), c => sqlx::query_as(insert)
        .bind(user).bind(address.as_str()).bind(now).fetch_one(c).await)?;
    Ok(id)
}

/// Returns the requested address, unless the request has expired.
pub(super) async fn pending(
    connection: Connection<'_>,
    user: UserId,
    now: Timestamp,
) -> Result<Option<(ClaimId, Email)>, StoreError> {
    let select = "SELECT id, address FROM address_changes WHERE user_id = $1 AND requested_at > $2";
    let found: Option<(ClaimId, String)> =
        with_conn!(connection, c => sqlx::query_as(select).bind(user).bind(now - LIFETIME).fetch_optional(c).await)?;
    let decode = |(id, address): (ClaimId, String)| match Email::parse(&address) {
        Ok(address) => Ok((id, address)),
        Err(_) => Err(StoreError::corrupt(format!("user {user}: requested e-mail address"))),
    };
    found.map(decode).transpose()
}

pub(super) async fn delete(tx: &mut Tx, user: UserId) -> Result<(), StoreError> {
    let delete = "DELETE FROM address_changes WHERE user_id = $1";
    Ok(with_conn!(tx.connection(), c => sqlx::query(delete).bind(user).execute(c).await.map(drop))?)
}

/// Deletes the requests that were not confirmed in time.
pub(super) async fn sweep(tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
    let delete = "DELETE FROM address_changes WHERE requested_at <= $1";
    Ok(with_conn!(tx.connection(), c => sqlx::query(delete).bind(now - LIFETIME).execute(c).await.map(drop))?)
}
