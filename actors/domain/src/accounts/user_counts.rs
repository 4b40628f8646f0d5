//! The number of users of each status and role (migration 18), so that a total does not read the users.
//!
//! On PostgreSQL, triggers add a row of change for each statement that writes users. So programs that write users do not wait for each other, nor
//! for a long transaction. The total is the sum of the counts and of the changes. A background task moves the changes into the counts. On
//! SQLite, which has one writer at a time, the triggers write the counts.

use faceofmind_db::{Connection, Database, StoreError, with_conn};
use sqlx::AssertSqlSafe;
use tokio::time::{Instant, sleep};

/// The most changes that one transaction moves: some 50 ms of the database.
const MAX_CHANGES: i64 = 5_000;

/// Moves changes into the counts, and returns their number. Leaves those that another node is moving. In the order of the key, so that two nodes
/// do not deadlock.
const FOLD: &str = "WITH folded AS (DELETE FROM user_count_changes WHERE id = ANY (ARRAY( \
         SELECT id FROM user_count_changes ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)) RETURNING status, role, change), \
     added AS (INSERT INTO user_counts AS known (status, role, users) \
         SELECT status, role, sum(change) FROM folded GROUP BY status, role ORDER BY status, role \
         ON CONFLICT (status, role) DO UPDATE SET users = known.users + excluded.users) \
     SELECT count(*) FROM folded";

/// Returns the number of the users `u` that match these conditions on `u.status` and `u.role`.
pub(super) async fn total(connection: Connection<'_>, conditions: &str) -> Result<i64, StoreError> {
    let select = AssertSqlSafe(total_of(&connection, conditions));
    Ok(with_conn!(connection, c => sqlx::query_scalar(select).fetch_one(c).await)?)
}

/// One statement, so that a change which is being moved is counted once.
fn total_of(connection: &Connection<'_>, conditions: &str) -> String {
    let counts = match connection {
        Connection::Postgres(..) => {
            "(SELECT status, role, users FROM user_counts UNION ALL SELECT status, role, change FROM user_count_changes)"
        }
        Connection::Sqlite(..) => "user_counts",
    };
    format!(
        "SELECT CAST(coalesce(sum(u.users), 0) AS bigint) FROM {counts} AS u WHERE u.status <> 'erasing'{conditions}"
    )
}

/// Moves all changes into the counts. Between two transactions it rests for as long as the last one took.
pub(super) async fn fold_changes(db: &Database) -> Result<(), StoreError> {
    loop {
        let begun = Instant::now();
        if fold_some(db).await? < MAX_CHANGES {
            return Ok(());
        }
        sleep(begun.elapsed()).await;
    }
}

async fn fold_some(db: &Database) -> Result<i64, StoreError> {
    if let Database::Sqlite(..) = db {
        return Ok(0);
    }
    let mut tx = db.begin().await?;
    let folded = with_conn!(tx.connection(), c => sqlx::query_scalar(FOLD).bind(MAX_CHANGES).fetch_one(c).await)?;
    tx.commit().await?;
    Ok(folded)
}

#[cfg(test)]
mod tests;
