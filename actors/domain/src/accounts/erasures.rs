//! The SQL of `erasures`: users who are erased, and whose remaining rows are being removed in slices.

use faceofmind_base::Timestamp;
use faceofmind_db::{Connection, StoreError, Tx, with_conn};
use faceofmind_model::{UserId, event::EventContext};

use super::store;

/// Removes what identifies the user, and hides the row in `users`, to which the remaining rows refer. The placeholder for the e-mail
/// address is not a valid one, so no account can have it.
const HIDE: &str = "UPDATE users SET email = 'erasing/' || CAST(id AS text), password = NULL, first_name = '', last_name = '', \
    role = 'user', status = 'erasing' WHERE id = $1";

/// Starts to erase a user that [`store::lock_for_delete`] has locked.
pub(super) async fn start(tx: &mut Tx, id: UserId, context: &EventContext, now: Timestamp) -> Result<(), StoreError> {
    store::delete_beside(tx, id).await?;
    with_conn!(tx.connection(), c => sqlx::query(HIDE).bind(id).execute(c).await.map(drop))?;
    let insert = "INSERT INTO erasures (user_id, requested_at, context) VALUES ($1, $2, $3)";
    let context = serde_json::to_string(context).expect("ids and words are JSON");
    with_conn!(tx.connection(), c => sqlx::query(insert).bind(id).bind(now).bind(context).execute(c).await.map(drop))?;
    Ok(())
}

/// Locks the user also against new rows that refer to it, and returns the context of the erasure. None when it is finished.
pub(super) async fn lock(tx: &mut Tx, id: UserId) -> Result<Option<EventContext>, StoreError> {
    tx.on_postgres(sqlx::query("SELECT id FROM users WHERE id = $1 FOR UPDATE").bind(id)).await?;
    let select = "SELECT context FROM erasures WHERE user_id = $1";
    let row: Option<(String,)> =
        with_conn!(tx.connection(), c => sqlx::query_as(select).bind(id).fetch_optional(c).await)?;
    let parse = |(context,): (String,)| {
        serde_json::from_str(&context).map_err(|_| StoreError::corrupt(format!("erasure of user {id}: context")))
    };
    row.map(parse).transpose()
}

/// Returns the users whose erasure is not finished, and when it was requested, oldest first.
pub(super) async fn unfinished(connection: Connection<'_>) -> Result<Vec<(UserId, Timestamp)>, StoreError> {
    let select = "SELECT user_id, requested_at FROM erasures ORDER BY requested_at, user_id";
    Ok(with_conn!(connection, c => sqlx::query_as(select).fetch_all(c).await)?)
}
