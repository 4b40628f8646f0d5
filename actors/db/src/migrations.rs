//! The schema migrations, built into the binary, and the one way to run them.

use serde::Serialize;
use sqlx::{
    AssertSqlSafe, PgConnection, Row as _,
    migrate::{Migration as SqlMigration, Migrator},
};

use self::{
    error::explain,
    files::{HAS_TRIGRAMS, built_in, concurrent_indexes, dropped_by, in_transaction, made_names, needs_trigrams},
};
use crate::{
    Connection, Database, StoreError, Tx, adoption,
    concurrent_index::make_valid,
    lease,
    lock_wait::{MAX_TRIES, PAUSE, TRIES_UNTIL_LOGGED, is_lock_wait, lock_timeout},
    with_conn,
};

mod error;
mod files;

pub use self::error::MigrationError;

/// The lock of what applies or reverts migrations.
const MIGRATIONS: &str = "migrations";
/// The lock of what makes an index of a migration.
const INDEXES: &str = "migration indexes";
/// The migration that makes the tables that the predecessor has too.
const FIRST: i64 = 1;
/// The migration that creates the table of leases.
const LEASES: i64 = 2;

/// A migration and whether the database has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Migration {
    /// The migration's number.
    pub version: i64,
    /// The migration's name.
    pub name: String,
    /// Whether it is applied.
    pub applied: bool,
}

/// Applies every missing migration to an empty database, or to one of this program, or to one of the predecessor, which it adopts. One node
/// migrates at a time. Each migration has its own transaction, except that an index is made concurrently and in none. On an empty database, one
/// transaction applies all.
///
/// # Errors
/// [`MigrationError`]. The migrations before the failed one stay, and the next run continues after them.
pub async fn migrate(db: &Database) -> Result<(), MigrationError> {
    if let Some(adopting) = adoption::prepare(db, &made_names()).await? {
        record_first(db).await?;
        adopting.release().await;
    }
    apply_missing(db).await?;
    Ok(adoption::finish(db).await?)
}

/// Says what [`migrate`] would do to a database of the predecessor. None: it is none, or is adopted. Changes nothing.
///
/// # Errors
/// [`MigrationError`].
pub async fn plan_adoption(db: &Database) -> Result<Option<adoption::Plan>, MigrationError> {
    Ok(adoption::plan(db, &made_names()).await?)
}

/// Records migration 1 on an adopted database, which has what that makes.
async fn record_first(db: &Database) -> Result<(), MigrationError> {
    let mut tx = begin_alone(db, MIGRATIONS).await?;
    if let Connection::Postgres(c, _) = tx.connection() {
        migrator_for(db).skip(c, Some(FIRST)).await.map_err(explain)?;
    }
    Ok(tx.commit().await?)
}

async fn apply_missing(db: &Database) -> Result<(), MigrationError> {
    let mut tries = 0;
    loop {
        match migrate_one(db, lock_timeout(tries)).await {
            Ok(true) => tries = 0,
            Ok(false) => return Ok(()),
            Err(MigrationError::TablesInUse(version)) if tries < MAX_TRIES => {
                tries += 1;
                if tries == TRIES_UNTIL_LOGGED {
                    tracing::warn!(version, "migration waits for a table that a long transaction or a vacuum holds");
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Applies the next missing migration, or on an empty database all of them. Compares those that are applied with the built-in ones. Returns
/// whether another one may be missing.
async fn migrate_one(db: &Database, lock_timeout: &str) -> Result<bool, MigrationError> {
    let mut tx = begin_alone(db, MIGRATIONS).await?;
    let applied = applied(&mut tx).await?;
    let Some(step) = next_after(db, &applied).filter(|_| !applied.is_empty()) else {
        return run(tx, db, last_version(db)).await.map(|()| false);
    };
    let indexes = concurrent_indexes(step);
    if !indexes.is_empty() && matches!(db, Database::Postgres(_)) {
        tx.rollback().await?;
        for (index, sql) in indexes {
            make_index(db, step.version, &index, &sql).await?;
        }
        mark_as_applied(db, step.version).await?;
    } else {
        let set = sqlx::query("SELECT set_config('lock_timeout', $1, true)").bind(lock_timeout);
        tx.on_postgres(set).await?;
        run(tx, db, step.version).await?;
    }
    Ok(true)
}

fn next_after(db: &Database, applied: &[i64]) -> Option<&'static SqlMigration> {
    up_migrations(db).find(|step| !applied.contains(&step.version))
}

/// Applies the missing migrations up to `last`, and commits.
async fn run(mut tx: Tx, db: &Database, last: i64) -> Result<(), MigrationError> {
    match tx.connection() {
        Connection::Postgres(c, _) => migrator_for(db).run_to(last, c).await,
        Connection::Sqlite(c, _) => migrator_for(db).run_to(last, c).await,
    }
    .map_err(explain)?;
    Ok(tx.commit().await?)
}

/// Records that a migration is applied, if it is the next one: another node may have recorded it, or reverted the one before it.
async fn mark_as_applied(db: &Database, version: i64) -> Result<(), MigrationError> {
    let mut tx = begin_alone(db, MIGRATIONS).await?;
    let applied = applied(&mut tx).await?;
    let is_next = next_after(db, &applied).is_some_and(|step| step.version == version);
    if let Connection::Postgres(c, _) = tx.connection()
        && is_next
    {
        migrator_for(db).skip(c, Some(version)).await.map_err(explain)?;
    }
    Ok(tx.commit().await?)
}

/// Makes an index concurrently, on a connection beside the pool.
async fn make_index(db: &Database, version: i64, index: &str, sql: &str) -> Result<(), MigrationError> {
    // Between its statements, this transaction has no snapshot. The index would wait for one.
    let alone = begin_alone(db, INDEXES).await?;
    let mut own = db.own_conn().await?;
    if let (Database::Postgres(pool), Connection::Postgres(c, _)) = (db, own.connection()) {
        tracing::info!(index, "making an index, which waits for all open transactions");
        if !pool.is_behind_pooler {
            // The role may have some.
            let lift = sqlx::raw_sql("SET statement_timeout = 0; SET lock_timeout = 0");
            lift.execute(&mut *c).await.map_err(StoreError::from)?;
        }
        let made = if needs_trigrams(sql) && !has_trigrams(c).await? {
            tracing::warn!(
                index,
                "made no index of trigrams, because the extension pg_trgm is missing; a search reads all users"
            );
            Ok(())
        } else {
            make_valid(c, index, sql).await
        };
        made.map_err(|error| match error {
            error if is_lock_wait(&error) => MigrationError::TablesInUse(version),
            error => StoreError::from(error).into(),
        })?;
    }
    // The index is made, whatever happens to the connections now.
    drop(own.close().await);
    drop(alone.rollback().await);
    Ok(())
}

async fn has_trigrams(c: &mut PgConnection) -> Result<bool, StoreError> {
    let row = sqlx::raw_sql(AssertSqlSafe(format!("SELECT {HAS_TRIGRAMS}"))).fetch_one(c).await?;
    Ok(row.try_get(0)?)
}

/// Returns every built-in migration in order, and whether it is applied. Changes nothing.
///
/// # Errors
/// [`MigrationError`].
pub async fn status(db: &Database) -> Result<Vec<Migration>, MigrationError> {
    let applied = if adoption::is_legacy(db).await? { Vec::new() } else { read_applied(db).await? };
    let step = |version, name: &str| Migration { version, name: name.to_owned(), applied: applied.contains(&version) };
    Ok(up_migrations(db).map(|up| step(up.version, &up.description)).collect())
}

async fn read_applied(db: &Database) -> Result<Vec<i64>, MigrationError> {
    let mut tx = db.begin().await?;
    let applied = applied(&mut tx).await?;
    tx.rollback().await?;
    Ok(applied)
}

/// Reverts the last applied migration and returns it, or `None` when none is applied.
///
/// # Errors
/// [`MigrationError::WouldLoseData`] when a table that it drops holds rows, unless `force`. [`MigrationError::Adopted`] where these are the
/// tables of the predecessor. [`MigrationError::InUse`] while a node leads on
/// PostgreSQL; of an SQLite file, the caller must be the only process.
pub async fn down(db: &Database, force: bool) -> Result<Option<Migration>, MigrationError> {
    let mut tx = begin_alone(db, MIGRATIONS).await?;
    let applied = applied(&mut tx).await?;
    let Some(last) = up_migrations(db).filter(|up| applied.contains(&up.version)).last() else { return Ok(None) };
    if last.version == FIRST && adoption::is_adopted(db).await? {
        return Err(MigrationError::Adopted);
    }
    let before = applied.iter().copied().filter(|&version| version < last.version).max().unwrap_or(0);
    if applied.contains(&LEASES)
        && let Some(holder) = lease::lock_and_get_holder(&mut tx).await?
    {
        return Err(MigrationError::InUse(holder));
    }
    if !force {
        ensure_no_data_loss(&mut tx, db, last.version).await?;
    }
    let migrator = migrator_for(db);
    match tx.connection() {
        Connection::Postgres(c, _) => migrator.undo(c, before).await,
        Connection::Sqlite(c, _) => migrator.undo(c, before).await,
    }
    .map_err(explain)?;
    tx.commit().await?;
    Ok(Some(Migration { version: last.version, name: last.description.to_string(), applied: false }))
}

/// The version of the last built-in migration.
pub(crate) fn last_version(db: &Database) -> i64 {
    up_migrations(db).map(|up| up.version).max().unwrap_or_default()
}

fn built_in_for(db: &Database) -> &'static Migrator {
    built_in(matches!(db, Database::Postgres(_)))
}

/// The migrations as a transaction runs them, whose lock is the caller's.
fn migrator_for(db: &Database) -> Migrator {
    let mut migrator = Migrator::with_migrations(built_in_for(db).iter().map(in_transaction).collect());
    migrator.set_locking(false);
    migrator
}

fn up_migrations(db: &Database) -> impl Iterator<Item = &'static SqlMigration> + use<> {
    built_in_for(db).iter().filter(|step| !step.migration_type.is_down_migration())
}

/// Begins a transaction without deadlines when no other node has the lock of this name, however long that takes.
///
/// *Why* it polls: a statement that waits for a lock holds a snapshot, and CREATE INDEX CONCURRENTLY waits for all older snapshots.
async fn begin_alone(db: &Database, lock: &str) -> Result<Tx, StoreError> {
    let mut tries = 0_u32;
    loop {
        let mut tx = begin_without_deadlines(db).await?;
        if tx.try_lock(lock).await? {
            return Ok(tx);
        }
        tx.rollback().await?;
        tries = tries.saturating_add(1);
        if tries == TRIES_UNTIL_LOGGED {
            tracing::info!("waiting for another node, which migrates the database");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The migrator names its statements. Behind a pooler, the server's connection may have those of an earlier migration.
async fn begin_without_deadlines(db: &Database) -> Result<Tx, StoreError> {
    let mut tx = db.begin().await?;
    if let (Database::Postgres(pool), Connection::Postgres(c, _)) = (db, tx.connection())
        && pool.is_behind_pooler
    {
        sqlx::raw_sql("DEALLOCATE ALL").execute(c).await?;
    }
    tx.lift_deadlines().await?;
    Ok(tx)
}

/// Returns the applied versions. Refuses a database with unknown tables or from a later version.
async fn applied(tx: &mut Tx) -> Result<Vec<i64>, MigrationError> {
    let tables = tables(tx).await?;
    if !tables.iter().any(|table| table == "_sqlx_migrations") {
        return tables.into_iter().next().map_or(Ok(Vec::new()), |table| Err(MigrationError::UnknownTables(table)));
    }
    let known: Vec<i64> = built_in(matches!(tx, Tx::Postgres(_))).iter().map(|step| step.version).collect();
    let rows: Vec<(i64,)> = with_conn!(tx.connection(), c =>
        sqlx::query_as("SELECT version FROM _sqlx_migrations ORDER BY version").fetch_all(c).await)
    .map_err(StoreError::from)?;
    match rows.iter().find(|(version,)| !known.contains(version)) {
        Some(&(version,)) => Err(MigrationError::DatabaseTooNew(version)),
        None => Ok(rows.into_iter().map(|(version,)| version).collect()),
    }
}

/// The tables, without those of extensions.
async fn tables(tx: &mut Tx) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> = match tx.connection() {
        Connection::Postgres(c, state) => {
            let sql = "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND NOT EXISTS (SELECT 1 FROM pg_depend d \
                WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') ORDER BY 1";
            sqlx::query_as(sql).fetch_all(state.executor(c)).await?
        }
        Connection::Sqlite(c, _) => {
            let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1";
            sqlx::query_as(sql).fetch_all(c).await?
        }
    };
    Ok(rows.into_iter().map(|(name,)| name).collect())
}

async fn ensure_no_data_loss(tx: &mut Tx, db: &Database, version: i64) -> Result<(), MigrationError> {
    let migrator = migrator_for(db);
    let down = migrator.iter().find(|step| step.version == version && step.migration_type.is_down_migration());
    let sql = down.map_or("", |down| down.sql.as_str());
    for (dropped, table, condition) in sql.lines().filter_map(dropped_by) {
        let count = AssertSqlSafe(format!("SELECT count(*) FROM {table} WHERE {condition}"));
        let (rows,): (i64,) =
            with_conn!(tx.connection(), c => sqlx::query_as(count).fetch_one(c).await).map_err(StoreError::from)?;
        if rows > 0 {
            return Err(MigrationError::WouldLoseData { version, dropped, rows });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The deadlines of requests do not hold for migrations.
    #[tokio::test]
    async fn a_migration_has_no_deadline() {
        let server = std::env::var("FOM_TEST_POSTGRES").expect("run the tests with `cargo xtask test`");
        let db = Database::postgres(&format!("{server}/postgres"), crate::PoolSettings::default()).expect("a URL");
        let mut tx = begin_alone(&db, MIGRATIONS).await.expect("begins");
        for deadline in ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"] {
            let sql = "SELECT current_setting($1)";
            let (set,): (String,) =
                with_conn!(tx.connection(), c => sqlx::query_as(sql).bind(deadline).fetch_one(c).await).expect("reads");
            assert_eq!(set, "0", "{deadline}");
        }
    }
}
