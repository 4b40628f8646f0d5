//! One set of SQL for PostgreSQL and SQLite: an enum over each kind of connection, and [`on!`](crate::on) to run the same text on
//! either. Where the two must differ, the difference lives here.

use std::{str::FromStr, sync::Arc, time::Duration};

use sqlx::{
    Connection as _, PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool, Transaction,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Failure;

/// Runs the same query on whichever database a [`Connection`] is of.
///
/// `on!(tx.connection(), c => sqlx::query(SQL).bind(id).execute(c).await)`
#[macro_export]
macro_rules! on {
    ($connection:expr, $c:ident => $run:expr) => {
        match $connection {
            $crate::Connection::Postgres($c) => $run,
            $crate::Connection::Sqlite($c) => $run,
        }
    };
}

/// How many connections, and how they behave.
#[derive(Clone, Copy, Debug)]
pub struct PoolSettings {
    /// Connections at most.
    pub max_connections: u32,
    /// Prepared statements kept per connection; 0 for a pgbouncer in transaction mode.
    pub statement_cache: usize,
    /// How long to wait for a free connection before giving up.
    pub acquire_timeout: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self { max_connections: 10, statement_cache: 256, acquire_timeout: Duration::from_secs(5) }
    }
}

/// A server that takes longer to let anyone in does not serve.
const REACHED_WITHIN: Duration = Duration::from_secs(5);

/// Nobody writes while the log of an SQLite file waits for its readers to be cut off.
const READERS_WAITED_FOR: &str = "PRAGMA busy_timeout = 250";

/// The pool of one database. Clones share it.
#[derive(Clone, Debug)]
pub enum Database {
    /// A PostgreSQL server.
    Postgres(PgPool),
    /// A file. SQLite has one writer at a time: those that wait for it queue here, in order, not in its busy loop.
    Sqlite(SqlitePool, Arc<Semaphore>),
}

impl Database {
    /// Prepares a pool for a PostgreSQL URL; connects at first use.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn postgres(url: &str, settings: PoolSettings) -> Result<Self, sqlx::Error> {
        let options = PgConnectOptions::from_str(url)?
            .application_name("faceofmind")
            .statement_cache_capacity(settings.statement_cache);
        let pool = PgPoolOptions::new()
            .max_connections(settings.max_connections)
            .acquire_timeout(settings.acquire_timeout)
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Ok(Self::Postgres(pool))
    }

    /// Prepares a pool for an SQLite file, which is created at first use: WAL, foreign keys on, and deleted data overwritten
    /// with zeroes. Nobody but this user may read it, nor what SQLite writes beside it. `synchronous` is FULL: what was answered survives a loss of power.
    pub fn sqlite(path: &std::path::Path, settings: PoolSettings) -> Self {
        make_private(path);
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
            .pragma("secure_delete", "on")
            .statement_cache_capacity(settings.statement_cache);
        let pool = SqlitePoolOptions::new()
            .max_connections(settings.max_connections)
            .acquire_timeout(settings.acquire_timeout)
            .idle_timeout(Duration::from_secs(60))
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Self::Sqlite(pool, Arc::new(Semaphore::new(1)))
    }

    /// Begins a transaction that will write.
    ///
    /// # Errors
    /// [`Failure::Store`] when no connection is to be had.
    pub async fn begin(&self) -> Result<Tx, Failure> {
        match self {
            Self::Postgres(pool) => Ok(Tx::Postgres(pool.begin().await?)),
            Self::Sqlite(pool, writer) => {
                let turn = Arc::clone(writer).acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
                Ok(Tx::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?, turn))
            }
        }
    }

    /// Takes a connection for reading outside any transaction.
    ///
    /// # Errors
    /// [`Failure::Store`] when no connection is to be had.
    pub async fn reader(&self) -> Result<Reader, Failure> {
        match self {
            Self::Postgres(pool) => Ok(Reader::Postgres(pool.acquire().await?)),
            Self::Sqlite(pool, _) => Ok(Reader::Sqlite(pool.acquire().await?)),
        }
    }

    /// Whether the database answers at all.
    pub async fn is_up(&self) -> bool {
        let Ok(mut reader) = self.reader().await else { return false };
        on!(reader.connection(), c => sqlx::query("SELECT 1").execute(c).await.is_ok())
    }

    /// Connects once, beside the pool, which would only say that its patience ran out.
    ///
    /// # Errors
    /// [`Failure::Store`] with what the connection failed of.
    pub async fn reach(&self) -> Result<(), Failure> {
        let failed = match self {
            Self::Postgres(pool) => {
                let options = pool.connect_options();
                match within_reach(PgConnection::connect_with(&options)).await {
                    Ok(connection) => connection.close().await,
                    Err(error) => Err(error),
                }
            }
            Self::Sqlite(pool, _) => pool.acquire().await.map(drop),
        };
        Ok(failed?)
    }

    /// Has an SQLite file forget for good what was deleted from it. It is written anew, for a row that moves to another page, as they do
    /// when others are written beside it, leaves itself behind; then its log is [cut off](Self::cut_log). Others write once that is done,
    /// which takes as long as copying the file. A server keeps deleted rows until it vacuums; there nothing is done.
    ///
    /// # Errors
    /// [`Failure::Store`].
    pub async fn forget_deleted(&self) -> Result<bool, Failure> {
        self.cut_log_after(Some("VACUUM")).await
    }

    /// Takes in the write-ahead log beside an SQLite file, where all that was lately written still stands, and cuts it off. False when
    /// somebody reads what was before, and so needs it: try again later.
    ///
    /// # Errors
    /// [`Failure::Store`].
    pub async fn cut_log(&self) -> Result<bool, Failure> {
        self.cut_log_after(None).await
    }

    async fn cut_log_after(&self, rewriting: Option<&'static str>) -> Result<bool, Failure> {
        let Self::Sqlite(pool, writer) = self else { return Ok(true) };
        let _turn = Arc::clone(writer).acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let mut connection = SqliteConnection::connect_with(&pool.connect_options()).await?;
        if let Some(rewriting) = rewriting {
            sqlx::query(rewriting).execute(&mut connection).await?;
        }
        sqlx::query(READERS_WAITED_FOR).execute(&mut connection).await?;
        let cut = "PRAGMA wal_checkpoint(TRUNCATE)";
        let (busy, _, _): (i64, i64, i64) = sqlx::query_as(cut).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(busy == 0)
    }

    /// What it is, for people: `PostgreSQL` or `SQLite`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "PostgreSQL",
            Self::Sqlite(..) => "SQLite",
        }
    }

    /// Closes every connection, waiting for those in use.
    pub async fn close(&self) {
        match self {
            Self::Postgres(pool) => pool.close().await,
            Self::Sqlite(pool, _) => pool.close().await,
        }
    }
}

/// What `connecting` comes to, if that does not take too long.
pub(crate) async fn within_reach<C>(
    connecting: impl Future<Output = Result<C, sqlx::Error>>,
) -> Result<C, sqlx::Error> {
    tokio::time::timeout(REACHED_WITHIN, connecting).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// Makes the file, readable by its user alone, before SQLite would make it for everyone; SQLite gives its neighbours the same mode. What goes
/// wrong here, connecting tells.
fn make_private(path: &std::path::Path) {
    use std::os::unix::fs::OpenOptionsExt as _;
    drop(std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path));
}

/// A borrowed connection of either database, for [`on!`](crate::on).
#[derive(Debug)]
pub enum Connection<'a> {
    /// To PostgreSQL.
    Postgres(&'a mut PgConnection),
    /// To SQLite.
    Sqlite(&'a mut SqliteConnection),
}

/// A connection for reading.
#[derive(Debug)]
pub enum Reader {
    /// To PostgreSQL.
    Postgres(PoolConnection<Postgres>),
    /// To SQLite.
    Sqlite(PoolConnection<Sqlite>),
}

impl Reader {
    /// The connection, for one query.
    pub fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Postgres(c) => Connection::Postgres(c),
            Self::Sqlite(c) => Connection::Sqlite(c),
        }
    }
}

/// A transaction; rolled back when it is dropped before [`Tx::commit`].
#[derive(Debug)]
pub enum Tx {
    /// On PostgreSQL, READ COMMITTED.
    Postgres(Transaction<'static, Postgres>),
    /// On SQLite, with the turn to write.
    Sqlite(Transaction<'static, Sqlite>, OwnedSemaphorePermit),
}

impl Tx {
    /// The connection, for one query.
    pub fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Postgres(t) => Connection::Postgres(t),
            Self::Sqlite(t, _) => Connection::Sqlite(t),
        }
    }

    /// Waits until no other transaction holds the lock of this name, and holds it until this one ends: no session's lock, so a pgbouncer may
    /// stand between. SQLite has one writer at a time anyway. Take one lock a transaction, first of all, and nobody waits in a circle.
    ///
    /// # Errors
    /// [`Failure::Store`].
    pub async fn lock(&mut self, name: &str) -> Result<(), Failure> {
        if let Self::Postgres(t) = self {
            let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
            sqlx::query(sql).bind(name).execute(&mut **t).await?;
        }
        Ok(())
    }

    /// Makes all of it last.
    ///
    /// # Errors
    /// [`Failure::Store`]; the database then holds all of it or nothing.
    pub async fn commit(self) -> Result<(), Failure> {
        match self {
            Self::Postgres(t) => t.commit().await?,
            Self::Sqlite(t, _turn) => t.commit().await?,
        }
        Ok(())
    }

    /// Takes all of it back.
    ///
    /// # Errors
    /// [`Failure::Store`] when the connection broke, which takes it back as well.
    pub async fn rollback(self) -> Result<(), Failure> {
        match self {
            Self::Postgres(t) => t.rollback().await?,
            Self::Sqlite(t, _turn) => t.rollback().await?,
        }
        Ok(())
    }
}
