//! The SQL of `address_changes`: where a user wants to move to, until a code that was mailed there is typed.

use std::time::Duration;

use faceofmind_base::Timestamp;
use faceofmind_db::{Connection, StoreError, Tx, with_conn};
use faceofmind_runtime::legacy::Failure;

use super::{ClaimId, Email, UserId};

/// Longer than a mail is tried and its code lives.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// Keeps where the user wants to move to, in the place of what they wanted before. To want the same address again is the same claim on
/// it: codes that are on their way stay good.
pub(super) async fn want(tx: &mut Tx, user: UserId, address: &Email, now: Timestamp) -> Result<ClaimId, Failure> {
    let replace = "DELETE FROM address_changes WHERE user_id = $1 AND address <> $2";
    with_conn!(tx.connection(), c => sqlx::query(replace).bind(user).bind(address.as_str()).execute(c).await.map(drop))?;
    let insert = "INSERT INTO address_changes (user_id, address, requested_at) VALUES ($1, $2, $3) \
        ON CONFLICT (user_id) DO UPDATE SET requested_at = excluded.requested_at RETURNING id";
    let (id,): (ClaimId,) = with_conn!(tx.connection(), c => sqlx::query_as(insert)
        .bind(user).bind(address.as_str()).bind(now).fetch_one(c).await)?;
    Ok(id)
}

/// Where the user wants to move to, if they still do.
pub(super) async fn wanted(
    connection: Connection<'_>,
    user: UserId,
    now: Timestamp,
) -> Result<Option<(ClaimId, Email)>, Failure> {
    let select = "SELECT id, address FROM address_changes WHERE user_id = $1 AND requested_at > $2";
    let found: Option<(ClaimId, String)> =
        with_conn!(connection, c => sqlx::query_as(select).bind(user).bind(now - LIFE).fetch_optional(c).await)?;
    found.map(|(id, address)| Ok((id, Email::parse(&address).map_err(|_| unreadable(user))?))).transpose()
}

fn unreadable(user: UserId) -> Failure {
    Failure::Store(StoreError::corrupt(format!("user {user}: the address to move to")))
}

/// The user stays where they are, or has moved.
pub(super) async fn end(tx: &mut Tx, user: UserId) -> Result<(), Failure> {
    let delete = "DELETE FROM address_changes WHERE user_id = $1";
    Ok(with_conn!(tx.connection(), c => sqlx::query(delete).bind(user).execute(c).await.map(drop))?)
}

/// Ends what nobody confirmed in time.
pub(super) async fn sweep(tx: &mut Tx, now: Timestamp) -> Result<(), Failure> {
    let delete = "DELETE FROM address_changes WHERE requested_at <= $1";
    Ok(with_conn!(tx.connection(), c => sqlx::query(delete).bind(now - LIFE).execute(c).await.map(drop))?)
}
