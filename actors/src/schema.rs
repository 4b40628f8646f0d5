//! The migrations, built into the binary, and the one way to run them.

use faceofmind_kit::{Connection, Database, Failure, Tx, on};
use serde::Serialize;
use sqlx::migrate::{MigrateError, Migrator};

static POSTGRES: Migrator = sqlx::migrate!("../migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("../migrations/sqlite");

/// Why the schema is not as this binary needs it.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// Tables, but none of ours.
    #[error(
        "the database holds tables that this program did not make ({0}, …). \
         Point DATABASE_URL at an empty database, or at one of an earlier version of this program"
    )]
    Foreign(String),
    /// Made by a later version.
    #[error("the database is at migration {0}, which this version does not know. Install the version that made it")]
    Newer(i64),
    /// A migration's text is not the one that was applied.
    #[error(
        "migration {0} of the database is not the one built into this program. Restore a backup, or install the version that made it"
    )]
    Changed(i64),
    /// Going back would throw data away.
    #[error("taking back migration {version} drops {table}, which holds {rows} rows. Add --force to lose them")]
    WouldLose {
        /// The step.
        version: i64,
        /// A table that is not empty.
        table: String,
        /// Its rows.
        rows: i64,
    },
    /// The database could not be reached or refused a step; nothing of it was kept.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// A step went wrong; nothing of it was kept.
    #[error("a migration failed: {0}")]
    Step(MigrateError),
}

/// One migration and whether the database has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its number.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// Whether it is applied.
    pub applied: bool,
}

/// Brings an empty database, or one of ours, up to date. One runner at a time, in one transaction: a step that fails leaves the
/// database as it was.
///
/// # Errors
/// [`SchemaError`]; nothing is changed then.
pub async fn migrate(db: &Database) -> Result<(), SchemaError> {
    let mut tx = locked(db).await?;
    applied(&mut tx).await?;
    let migrator = migrator(db);
    on!(tx.connection(), c => migrator.run(c).await).map_err(explain)?;
    Ok(tx.commit().await?)
}

/// Every step this binary knows, in order, and whether it is applied. Changes nothing.
///
/// # Errors
/// [`SchemaError`].
pub async fn status(db: &Database) -> Result<Vec<Step>, SchemaError> {
    let mut tx = db.begin().await?;
    let applied = applied(&mut tx).await?;
    tx.rollback().await?;
    let step = |version, name: &str| Step { version, name: name.to_owned(), applied: applied.contains(&version) };
    Ok(ups(db).map(|up| step(up.version, &up.description)).collect())
}

/// Takes back the last step and returns it, or `None` when there is none.
///
/// # Errors
/// [`SchemaError::WouldLose`] when a table that it drops holds rows, unless `force`.
pub async fn down(db: &Database, force: bool) -> Result<Option<Step>, SchemaError> {
    let mut tx = locked(db).await?;
    let applied = applied(&mut tx).await?;
    let Some(last) = ups(db).filter(|up| applied.contains(&up.version)).last() else { return Ok(None) };
    let before = applied.iter().copied().filter(|&version| version < last.version).max().unwrap_or(0);
    if !force {
        refuse_loss(&mut tx, db, last.version).await?;
    }
    let migrator = migrator(db);
    on!(tx.connection(), c => migrator.undo(c, before).await).map_err(explain)?;
    tx.commit().await?;
    Ok(Some(Step { version: last.version, name: last.description.to_string(), applied: false }))
}

fn of(db: &Database) -> &'static Migrator {
    built_in(matches!(db, Database::Postgres(_)))
}

fn built_in(is_postgres: bool) -> &'static Migrator {
    if is_postgres { &POSTGRES } else { &SQLITE }
}

fn migrator(db: &Database) -> Migrator {
    let mut migrator = Migrator::with_migrations(of(db).iter().cloned().collect());
    migrator.set_locking(false);
    migrator
}

fn ups(db: &Database) -> impl Iterator<Item = &'static sqlx::migrate::Migration> + use<> {
    of(db).iter().filter(|step| !step.migration_type.is_down_migration())
}

/// A transaction in which nobody else migrates: a lock that ends with it, so that a pgbouncer may stand between. SQLite's write lock is
/// enough.
async fn locked(db: &Database) -> Result<Tx, Failure> {
    let mut tx = db.begin().await?;
    tx.lock("migrations").await?;
    Ok(tx)
}

/// The versions that the database has; refuses a database that is not ours or is newer.
async fn applied(tx: &mut Tx) -> Result<Vec<i64>, SchemaError> {
    let tables = tables(tx).await?;
    if !tables.iter().any(|table| table == "_sqlx_migrations") {
        return tables.into_iter().next().map_or(Ok(Vec::new()), |table| Err(SchemaError::Foreign(table)));
    }
    let known: Vec<i64> = built_in(matches!(tx, Tx::Postgres(_))).iter().map(|step| step.version).collect();
    let rows: Vec<(i64,)> = on!(tx.connection(), c =>
        sqlx::query_as("SELECT version FROM _sqlx_migrations ORDER BY version").fetch_all(c).await)
    .map_err(Failure::from)?;
    match rows.iter().find(|(version,)| !known.contains(version)) {
        Some(&(version,)) => Err(SchemaError::Newer(version)),
        None => Ok(rows.into_iter().map(|(version,)| version).collect()),
    }
}

async fn tables(tx: &mut Tx) -> Result<Vec<String>, Failure> {
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

async fn refuse_loss(tx: &mut Tx, db: &Database, version: i64) -> Result<(), SchemaError> {
    let migrator = migrator(db);
    let down = migrator.iter().find(|step| step.version == version && step.migration_type.is_down_migration());
    let sql = down.map_or("", |down| down.sql.as_str());
    for table in sql.lines().filter_map(|line| line.strip_prefix("drop table ")).map(|rest| rest.trim_end_matches(';'))
    {
        let count = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        let (rows,): (i64,) =
            on!(tx.connection(), c => sqlx::query_as(count).fetch_one(c).await).map_err(Failure::from)?;
        if rows > 0 {
            return Err(SchemaError::WouldLose { version, table: table.to_owned(), rows });
        }
    }
    Ok(())
}

fn explain(error: MigrateError) -> SchemaError {
    match error {
        MigrateError::VersionMismatch(version) => SchemaError::Changed(version),
        MigrateError::VersionMissing(version) => SchemaError::Newer(version),
        other => SchemaError::Step(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn an_empty_database_is_brought_up_to_date_and_back_again() {
        for db in testing::empty_databases().await {
            assert!(status(&db).await.expect("empty").iter().all(|step| !step.applied));
            migrate(&db).await.expect("migrates");
            migrate(&db).await.expect("twice is once");
            let steps = status(&db).await.expect("ours");
            assert!(steps.len() >= 2 && steps.iter().all(|step| step.applied), "{steps:?}");
            for _ in &steps {
                down(&db, false).await.expect("no rows, no loss").expect("a step");
            }
            assert_eq!(down(&db, false).await.expect("nothing left"), None);
            migrate(&db).await.expect("and up again");
        }
    }

    #[tokio::test]
    async fn rows_are_dropped_only_by_force() {
        for db in testing::databases().await {
            let mut tx = db.begin().await.expect("begins");
            let insert = "INSERT INTO leases (name, holder, expires_at) VALUES ('a', 'b', $1)";
            let now = faceofmind_kit::Clock::system().now();
            on!(tx.connection(), c => sqlx::query(insert).bind(now).execute(c).await.map(drop)).expect("inserts");
            tx.commit().await.expect("commits");
            let refused = loop {
                match down(&db, false).await {
                    Ok(step) => assert!(step.is_some(), "the step that made the table was taken back"),
                    Err(refused) => break refused,
                }
            };
            assert!(matches!(refused, SchemaError::WouldLose { rows: 1, .. }), "{refused}");
            assert!(down(&db, true).await.expect("forced").is_some());
        }
    }

    #[tokio::test]
    async fn a_foreign_or_newer_database_is_left_alone() {
        for db in testing::empty_databases().await {
            let mut tx = db.begin().await.expect("begins");
            on!(tx.connection(), c => sqlx::query("CREATE TABLE users (id integer)").execute(c).await.map(drop))
                .expect("somebody else's table");
            tx.commit().await.expect("commits");
            assert!(matches!(migrate(&db).await, Err(SchemaError::Foreign(table)) if table == "users"));
        }
        for db in testing::databases().await {
            let mut tx = db.begin().await.expect("begins");
            let sql = "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1";
            on!(tx.connection(), c => sqlx::query(sql).execute(c).await.map(drop)).expect("from the future");
            tx.commit().await.expect("commits");
            assert!(matches!(migrate(&db).await, Err(SchemaError::Newer(9999))));
        }
    }

    /// [`refuse_loss`] looks at the tables that are dropped, and knows no other way to lose rows.
    #[test]
    fn a_way_back_drops_tables_and_indexes_and_nothing_else() {
        for step in POSTGRES.iter().chain(SQLITE.iter()).filter(|step| step.migration_type.is_down_migration()) {
            for line in step.sql.as_str().lines().filter(|line| !line.is_empty() && !line.starts_with("--")) {
                let drops = line.starts_with("drop table ") || line.starts_with("drop index ");
                assert!(drops && line.ends_with(';'), "{} {}: {line}", step.version, step.description);
            }
        }
    }

    #[tokio::test]
    async fn two_runners_take_turns() {
        for db in testing::empty_databases().await {
            let (one, other) = tokio::join!(migrate(&db), migrate(&db));
            one.expect("first");
            other.expect("second");
        }
    }
}
