//! The schema migrations, built into the binary, and the one way to run them.

use serde::Serialize;
use sqlx::migrate::{MigrateError, Migrator};

use crate::{Connection, Database, StoreError, Tx, with_conn};

static POSTGRES: Migrator = sqlx::migrate!("../../migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// Why the database does not have the schema of this binary.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The database holds tables, but no migration of this program.
    #[error(
        "the database holds tables that this program did not make ({0}, …). \
         Point DATABASE_URL at an empty database, or at one of an earlier version of this program"
    )]
    UnknownTables(String),
    /// A later version of the program migrated the database.
    #[error("the database is at migration {0}, which this version does not know. Install the version that made it")]
    DatabaseTooNew(i64),
    /// The text of an applied migration differs from the one built in.
    #[error(
        "migration {0} of the database is not the one built into this program. Restore a backup, or install the version that made it"
    )]
    ChecksumMismatch(i64),
    /// Reverting a migration would drop rows.
    #[error("taking back migration {version} drops {table}, which holds {rows} rows. Add --force to lose them")]
    WouldLoseData {
        /// The migration's number.
        version: i64,
        /// A table that the revert would drop.
        table: String,
        /// The number of its rows.
        rows: i64,
    },
    /// The database did not answer or rejected a statement; nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A migration failed; nothing was changed.
    #[error("a migration failed: {0}")]
    Failed(MigrateError),
}

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

/// Applies every missing migration to an empty database, or to one of this program. Runs alone and in one transaction.
///
/// # Errors
/// [`MigrationError`]: nothing was changed.
pub async fn migrate(db: &Database) -> Result<(), MigrationError> {
    let mut tx = begin_locked(db).await?;
    applied(&mut tx).await?;
    let migrator = migrator_for(db);
    with_conn!(tx.connection(), c => migrator.run(c).await).map_err(explain)?;
    Ok(tx.commit().await?)
}

/// Returns every built-in migration in order, and whether it is applied. Changes nothing.
///
/// # Errors
/// [`MigrationError`].
pub async fn status(db: &Database) -> Result<Vec<Migration>, MigrationError> {
    let mut tx = db.begin().await?;
    let applied = applied(&mut tx).await?;
    tx.rollback().await?;
    let step = |version, name: &str| Migration { version, name: name.to_owned(), applied: applied.contains(&version) };
    Ok(up_migrations(db).map(|up| step(up.version, &up.description)).collect())
}

/// Reverts the last applied migration and returns it, or `None` when none is applied.
///
/// # Errors
/// [`MigrationError::WouldLoseData`] when a table that it drops holds rows, unless `force`.
pub async fn down(db: &Database, force: bool) -> Result<Option<Migration>, MigrationError> {
    let mut tx = begin_locked(db).await?;
    let applied = applied(&mut tx).await?;
    let Some(last) = up_migrations(db).filter(|up| applied.contains(&up.version)).last() else { return Ok(None) };
    let before = applied.iter().copied().filter(|&version| version < last.version).max().unwrap_or(0);
    if !force {
        ensure_no_data_loss(&mut tx, db, last.version).await?;
    }
    let migrator = migrator_for(db);
    with_conn!(tx.connection(), c => migrator.undo(c, before).await).map_err(explain)?;
    tx.commit().await?;
    Ok(Some(Migration { version: last.version, name: last.description.to_string(), applied: false }))
}

fn built_in_for(db: &Database) -> &'static Migrator {
    built_in(matches!(db, Database::Postgres(_)))
}

fn built_in(is_postgres: bool) -> &'static Migrator {
    if is_postgres { &POSTGRES } else { &SQLITE }
}

fn migrator_for(db: &Database) -> Migrator {
    let mut migrator = Migrator::with_migrations(built_in_for(db).iter().cloned().collect());
    migrator.set_locking(false);
    migrator
}

fn up_migrations(db: &Database) -> impl Iterator<Item = &'static sqlx::migrate::Migration> + use<> {
    built_in_for(db).iter().filter(|step| !step.migration_type.is_down_migration())
}

/// Begins a transaction that no other migration runs beside.
async fn begin_locked(db: &Database) -> Result<Tx, StoreError> {
    let mut tx = db.begin().await?;
    tx.lock("migrations").await?;
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

async fn tables(tx: &mut Tx) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> = match tx.connection() {
        Connection::Postgres(c) => {
            let sql = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema() ORDER BY 1";
            sqlx::query_as(sql).fetch_all(c).await?
        }
        Connection::Sqlite(c) => {
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
    for table in sql.lines().filter_map(|line| line.strip_prefix("drop table ")).map(|rest| rest.trim_end_matches(';'))
    {
        let count = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        let (rows,): (i64,) =
            with_conn!(tx.connection(), c => sqlx::query_as(count).fetch_one(c).await).map_err(StoreError::from)?;
        if rows > 0 {
            return Err(MigrationError::WouldLoseData { version, table: table.to_owned(), rows });
        }
    }
    Ok(())
}

fn explain(error: MigrateError) -> MigrationError {
    match error {
        MigrateError::VersionMismatch(version) => MigrationError::ChecksumMismatch(version),
        MigrateError::VersionMissing(version) => MigrationError::DatabaseTooNew(version),
        other => MigrationError::Failed(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [`ensure_no_data_loss`] checks dropped tables only, so a down migration may lose rows in no other way.
    #[test]
    fn a_down_migration_drops_tables_and_indexes_and_nothing_else() {
        for step in POSTGRES.iter().chain(SQLITE.iter()).filter(|step| step.migration_type.is_down_migration()) {
            for line in step.sql.as_str().lines().filter(|line| !line.is_empty() && !line.starts_with("--")) {
                let drops = line.starts_with("drop table ") || line.starts_with("drop index ");
                assert!(drops && line.ends_with(';'), "{} {}: {line}", step.version, step.description);
            }
        }
    }
}
