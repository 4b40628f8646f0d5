//! What other rooms need to know of many users at once, in a transaction of theirs.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use faceofmind_db::{BulkStatement, Connection, MAX_ROWS, Tx, pad_with_nulls, with_conn};
use faceofmind_runtime::legacy::Failure;

use super::UserId;

/// In the order of their ids, so that two do not wait for each other in a circle.
static HOLD: LazyLock<BulkStatement> = LazyLock::new(|| {
    BulkStatement::new("SELECT id FROM users WHERE id IN (VALUES {rows}) ORDER BY id FOR SHARE", 1, 1)
});
static TIME_ZONES: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "SELECT u.id, p.time_zone FROM users u LEFT JOIN user_profiles p ON p.user_id = u.id \
               WHERE u.id IN (VALUES {rows})";
    BulkStatement::new(sql, 1, 1)
});
static ACTIVE: LazyLock<BulkStatement> = LazyLock::new(|| {
    BulkStatement::new("SELECT id FROM users WHERE status = 'active' AND id IN (VALUES {rows})", 1, 1)
});

/// The time zones (IANA names) that these users have set, if they have. Nobody changes them until the transaction ends. Who does not exist
/// is left out. To be called before the transaction locks anything else.
///
/// # Errors
/// [`Failure::Store`].
pub async fn time_zones(
    tx: &mut Tx,
    users: impl IntoIterator<Item = UserId>,
) -> Result<HashMap<UserId, Option<String>>, Failure> {
    let users = in_order(users);
    let mut zones = HashMap::with_capacity(users.len());
    for some in users.chunks(MAX_ROWS) {
        if let Connection::Postgres(c) = tx.connection() {
            let hold = sqlx::query(HOLD.sql(some.len()));
            pad_with_nulls(some.iter()).fold(hold, |query, id| query.bind(id.copied())).execute(c).await?;
        }
        let rows: Vec<(UserId, Option<String>)> = with_conn!(tx.connection(), c => {
            let query = sqlx::query_as(TIME_ZONES.sql(some.len()));
            pad_with_nulls(some.iter()).fold(query, |query, id| query.bind(id.copied())).fetch_all(c).await
        })?;
        zones.extend(rows);
    }
    Ok(zones)
}

/// Those of the users whose accounts are active.
///
/// # Errors
/// [`Failure::Store`].
pub async fn active_among(tx: &mut Tx, users: impl IntoIterator<Item = UserId>) -> Result<HashSet<UserId>, Failure> {
    let mut active = HashSet::new();
    for some in in_order(users).chunks(MAX_ROWS) {
        let rows: Vec<(UserId,)> = with_conn!(tx.connection(), c => {
            let query = sqlx::query_as(ACTIVE.sql(some.len()));
            pad_with_nulls(some.iter()).fold(query, |query, id| query.bind(id.copied())).fetch_all(c).await
        })?;
        active.extend(rows.into_iter().map(|(id,)| id));
    }
    Ok(active)
}

/// Each once.
fn in_order(users: impl IntoIterator<Item = UserId>) -> Vec<UserId> {
    let mut users: Vec<UserId> = users.into_iter().collect();
    users.sort_unstable();
    users.dedup();
    users
}
