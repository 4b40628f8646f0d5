//! Reads of many users at once, in the transaction of another module.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use faceofmind_db::{BulkStatement, MAX_ROWS, StoreError, Tx, pad_with_nulls, with_conn};
use faceofmind_model::UserId;

/// In the order of the ids, so that concurrent transactions do not deadlock.
static LOCK: LazyLock<BulkStatement> = LazyLock::new(|| {
    BulkStatement::new("SELECT id FROM users WHERE id IN (VALUES {rows}) ORDER BY id FOR SHARE", 1, 1)
});
static LOCK_FREE: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "SELECT id FROM users WHERE id IN (VALUES {rows}) ORDER BY id FOR KEY SHARE SKIP LOCKED";
    BulkStatement::new(sql, 1, 1)
});
static EXISTING: LazyLock<BulkStatement> =
    LazyLock::new(|| BulkStatement::new("SELECT id FROM users WHERE id IN (VALUES {rows})", 1, 1));
static TIME_ZONES: LazyLock<BulkStatement> = LazyLock::new(|| {
    let sql = "SELECT u.id, p.time_zone FROM users u LEFT JOIN user_profiles p ON p.user_id = u.id \
               WHERE u.status <> 'erasing' AND u.id IN (VALUES {rows})";
    BulkStatement::new(sql, 1, 1)
});
static ACTIVE: LazyLock<BulkStatement> = LazyLock::new(|| {
    BulkStatement::new("SELECT id FROM users WHERE status = 'active' AND id IN (VALUES {rows})", 1, 1)
});

/// Locks these users against changes until the transaction ends, and returns the time zones (IANA names) that they have set. Users that do
/// not exist are left out. Requires that the transaction has locked nothing else yet.
pub async fn lock_and_get_time_zones(
    tx: &mut Tx,
    users: impl IntoIterator<Item = UserId>,
) -> Result<HashMap<UserId, Option<String>>, StoreError> {
    let users = sorted_unique(users);
    let mut zones = HashMap::with_capacity(users.len());
    for page in users.chunks(MAX_ROWS) {
        let lock = sqlx::query(LOCK.sql(page.len()));
        tx.on_postgres(pad_with_nulls(page.iter()).fold(lock, |query, id| query.bind(id.copied()))).await?;
        let rows: Vec<(UserId, Option<String>)> = with_conn!(tx.connection(), c => {
            let query = sqlx::query_as(TIME_ZONES.sql(page.len()));
            pad_with_nulls(page.iter()).fold(query, |query, id| query.bind(id.copied())).fetch_all(c).await
        })?;
        zones.extend(rows);
    }
    Ok(zones)
}

/// Locks those of these users that no other transaction is changing, so that none of them is deleted until the transaction ends, and returns
/// the others. Rows can then be added to the locked users without waiting. On PostgreSQL.
pub async fn lock_free_users(
    tx: &mut Tx,
    users: impl IntoIterator<Item = UserId>,
) -> Result<HashSet<UserId>, StoreError> {
    let users = sorted_unique(users);
    let locked = select_users(tx, &LOCK_FREE, &users).await?;
    let missing: Vec<UserId> = users.into_iter().filter(|user| !locked.contains(user)).collect();
    // A user that does not exist is missing too, and nothing holds it.
    select_users(tx, &EXISTING, &missing).await
}

async fn select_users(
    tx: &mut Tx,
    statement: &'static BulkStatement,
    users: &[UserId],
) -> Result<HashSet<UserId>, StoreError> {
    let mut selected = HashSet::new();
    for page in users.chunks(MAX_ROWS) {
        let rows: Vec<(UserId,)> = with_conn!(tx.connection(), c => {
            let query = sqlx::query_as(statement.sql(page.len()));
            pad_with_nulls(page.iter()).fold(query, |query, id| query.bind(id.copied())).fetch_all(c).await
        })?;
        selected.extend(rows.into_iter().map(|(id,)| id));
    }
    Ok(selected)
}

/// Returns those of the users whose accounts are active.
pub async fn filter_active(
    tx: &mut Tx,
    users: impl IntoIterator<Item = UserId>,
) -> Result<HashSet<UserId>, StoreError> {
    select_users(tx, &ACTIVE, &sorted_unique(users)).await
}

fn sorted_unique(users: impl IntoIterator<Item = UserId>) -> Vec<UserId> {
    let mut users: Vec<UserId> = users.into_iter().collect();
    users.sort_unstable();
    users.dedup();
    users
}
