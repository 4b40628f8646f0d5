//! The pool of one database, PostgreSQL or SQLite. Where the two must differ, the difference lives here and in [`crate::connection`].

use std::{collections::BTreeSet, str::FromStr, sync::Arc, time::Duration};

use faceofmind_base::begin_write;
use sqlx::{
    Connection as _, PgConnection, PgPool, Postgres, Row as _, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::Semaphore;

use crate::{
    ReadConn, StoreError, Tx,
    connection::{LastBreak, Pooled, PooledTx, StatementState, is_broken},
};

/// The size and behaviour of a connection pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolSettings {
    /// The maximum number of connections.
    pub max_connections: u32,
    /// Prepared statements cached per connection. 0: PostgreSQL is behind a pgbouncer in transaction mode.
    pub statement_cache: usize,
    /// The longest wait for a free connection.
    pub acquire_timeout: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self { max_connections: 10, statement_cache: 256, acquire_timeout: Duration::from_secs(5) }
    }
}

/// Set when a connection is made. A server that hears us ends a lock wait and a statement before we give its connection up. It ends the connection
/// of a node that is lost without a word, and with it its locks, after 15 s without an acknowledgement, or 30 s of silence and some failed probes.
const SERVER_DEADLINES: &str = "SET statement_timeout = '3500ms'; SET lock_timeout = '3s'; SET idle_in_transaction_session_timeout = '30s'; \
    SET tcp_user_timeout = '15s'; SET tcp_keepalives_idle = '30s'; SET tcp_keepalives_interval = '5s'";

/// Begins a transaction behind a pooler, where what is set for a connection of the server would stay there for its next client.
const BEGIN_WITH_DEADLINES: &str = "BEGIN; SET LOCAL statement_timeout = '3500ms'; SET LOCAL lock_timeout = '3s'; \
    SET LOCAL idle_in_transaction_session_timeout = '30s'";

/// A connection that was idle for longer is tried before it is used, and has this time to answer.
const MAX_UNTRIED: Duration = Duration::from_secs(1);

/// The longest wait for a new connection that is made beside the pool.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections to a PostgreSQL server, and when one of them was last found broken.
#[derive(Clone, Debug)]
pub struct PostgresPool {
    pool: PgPool,
    last_break: LastBreak,
    /// Whether a pgbouncer in transaction mode stands between: no statement has a name, nothing is set for a connection, and each statement
    /// is in a transaction.
    pub(crate) is_behind_pooler: bool,
}

impl PostgresPool {
    /// Connects beside the pool.
    pub(crate) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect_with(&self.pool.connect_options()).await
    }

    /// Connects twice, and asks which process of the server is behind each connection.
    async fn check(&self) -> Result<(), StoreError> {
        let mut connections =
            [with_connect_timeout(self.connect()).await?, with_connect_timeout(self.connect()).await?];
        let mut processes = BTreeSet::new();
        for connection in &mut connections {
            let asked = sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(connection);
            processes.insert(with_connect_timeout(asked).await?.try_get::<i32, _>(0)?);
        }
        for connection in connections {
            connection.close().await?;
        }
        if processes.len() == 1 && !self.is_behind_pooler { Err(StoreError::UnexpectedPooler) } else { Ok(()) }
    }

    async fn acquire(&self) -> Result<Pooled<Postgres>, sqlx::Error> {
        let state = StatementState::on_postgres(Some(self.last_break.clone()), self.is_behind_pooler);
        Ok(Pooled::new(self.pool.acquire().await?, state))
    }

    async fn read_conn(&self) -> Result<ReadConn, sqlx::Error> {
        let connection = self.acquire().await?;
        if self.is_behind_pooler {
            return Ok(ReadConn::BehindPooler(PooledTx::begin(connection, self.begin_statement()).await?));
        }
        Ok(ReadConn::Postgres(connection))
    }

    fn begin_statement(&self) -> Option<&'static str> {
        self.is_behind_pooler.then_some(BEGIN_WITH_DEADLINES)
    }

    /// Begins a transaction, on another connection when the first one is broken: nothing was sent over that.
    async fn begin(&self) -> Result<PooledTx<Postgres>, StoreError> {
        let connection = self.acquire().await?;
        enter_write()?;
        match PooledTx::begin(connection, self.begin_statement()).await {
            Err(error) if is_broken(&error) && !matches!(error, sqlx::Error::PoolTimedOut) => {
                Ok(PooledTx::begin(self.acquire().await?, self.begin_statement()).await?)
            }
            begun => Ok(begun?),
        }
    }
}

/// The pool of one database. Clones share it.
#[derive(Clone, Debug)]
pub enum Database {
    /// A PostgreSQL server.
    Postgres(PostgresPool),
    /// An SQLite file. SQLite has one writer at a time: writers queue on the semaphore, in order, instead of in SQLite's busy loop.
    Sqlite(SqlitePool, Arc<Semaphore>),
}

/// Begins a transaction, and reads the schema again if another connection has changed it, as each vacuum does. *Why*: SQLite 3.51 would do so while it
/// opens a virtual table for a trigger, and then say that there is no such table as the one that the statement writes.
const BEGIN_ON_SQLITE: &str = "BEGIN IMMEDIATE; SELECT 1 FROM sqlite_schema WHERE false";

impl Database {
    /// Prepares a pool for a PostgreSQL URL. It connects at first use.
    ///
    /// # Errors
    /// The URL cannot be parsed.
    pub fn postgres(url: &str, settings: PoolSettings) -> Result<Self, sqlx::Error> {
        let options = PgConnectOptions::from_str(url)?
            .application_name("faceofmind")
            // sqlx sets it for results in text, of which there are none here. A pgbouncer refuses the parameter.
            .extra_float_digits(None)
            .statement_cache_capacity(settings.statement_cache);
        let is_behind_pooler = settings.statement_cache == 0;
        let last_break = LastBreak::default();
        let breaks = last_break.clone();
        // sqlx keeps the brackets of an IPv6 address, and looks up a host of that name.
        let host = options.get_host().strip_prefix('[').and_then(|host| host.strip_suffix(']')).map(str::to_owned);
        let options = match host {
            Some(address) => options.host(&address),
            None => options,
        };
        let pool = PgPoolOptions::new()
            .max_connections(settings.max_connections)
            .acquire_timeout(settings.acquire_timeout)
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if is_behind_pooler {
                        return Ok(());
                    }
                    sqlx::raw_sql(SERVER_DEADLINES).execute(connection).await.map(drop)
                })
            })
            .before_acquire(move |connection, made| {
                let (is_suspect, is_idle) = (breaks.concerns(made.age), made.idle_for > MAX_UNTRIED);
                let breaks = breaks.clone();
                Box::pin(async move {
                    if is_suspect || !is_idle {
                        return Ok(!is_suspect);
                    }
                    let is_sound = answers(connection).await;
                    if !is_sound {
                        // The others need not be tried, each for as long.
                        breaks.record();
                    }
                    Ok(is_sound)
                })
            })
            .after_release(|connection, _| Box::pin(has_no_transaction(connection)))
            .connect_lazy_with(options);
        Ok(Self::Postgres(PostgresPool { pool, last_break, is_behind_pooler }))
    }

    /// Prepares a pool for an SQLite file, which is created at first use with mode 0600: WAL, foreign keys on, deleted data overwritten
    /// with zeroes. `synchronous` is FULL, so that committed data survives a power loss.
    pub fn sqlite(path: &std::path::Path, settings: PoolSettings) -> Self {
        create_private(path);
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
            .after_release(|connection, _| Box::pin(has_no_transaction(connection)))
            .connect_lazy_with(options);
        Self::Sqlite(pool, Arc::new(Semaphore::new(1)))
    }

    /// Begins a transaction that writes.
    ///
    /// # Errors
    /// [`StoreError`] when no connection is available.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        match self {
            Self::Postgres(pool) => Ok(Tx::Postgres(pool.begin().await?)),
            Self::Sqlite(pool, writer) => {
                let write_permit = Arc::clone(writer).acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
                enter_write()?;
                let connection = Pooled::new(pool.acquire().await?, StatementState::on_sqlite());
                let begun = PooledTx::begin(connection, Some(BEGIN_ON_SQLITE)).await?;
                Ok(Tx::Sqlite(begun, write_permit))
            }
        }
    }

    /// Takes a connection for reading outside of a transaction.
    ///
    /// # Errors
    /// [`StoreError`] when no connection is available.
    pub async fn read_conn(&self) -> Result<ReadConn, StoreError> {
        match self {
            Self::Postgres(pool) => Ok(pool.read_conn().await?),
            Self::Sqlite(pool, _) => {
                Ok(ReadConn::Sqlite(Pooled::new(pool.acquire().await?, StatementState::on_sqlite())))
            }
        }
    }

    /// Connects once, beside the pool, whose error would only say that it timed out.
    ///
    /// # Errors
    /// [`StoreError`] with the reason why the connection failed, and [`StoreError::UnexpectedPooler`].
    pub async fn check_connectivity(&self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(pool) => pool.check().await,
            Self::Sqlite(pool, _) => Ok(pool.acquire().await.map(drop)?),
        }
    }

    /// Returns the product's name: `PostgreSQL` or `SQLite`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "PostgreSQL",
            Self::Sqlite(..) => "SQLite",
        }
    }

    /// Returns the most connections that the pool opens.
    pub fn max_connections(&self) -> usize {
        let most = match self {
            Self::Postgres(PostgresPool { pool, .. }) => pool.options().get_max_connections(),
            Self::Sqlite(pool, _) => pool.options().get_max_connections(),
        };
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    /// Returns the numbers of open and of idle connections.
    pub fn pool_size(&self) -> (u32, usize) {
        match self {
            Self::Postgres(PostgresPool { pool, .. }) => (pool.size(), pool.num_idle()),
            Self::Sqlite(pool, _) => (pool.size(), pool.num_idle()),
        }
    }

    /// Closes every connection after its current use.
    pub async fn close(&self) {
        match self {
            Self::Postgres(PostgresPool { pool, .. }) => pool.close().await,
            Self::Sqlite(pool, _) => pool.close().await,
        }
    }
}

/// Fails for a request that its caller has withdrawn while it waited.
fn enter_write() -> Result<(), StoreError> {
    if begin_write() { Ok(()) } else { Err(StoreError::TimedOut(sqlx::Error::PoolTimedOut)) }
}

/// Whether the server answers at once over a connection that was idle.
async fn answers(connection: &mut PgConnection) -> bool {
    tokio::time::timeout(MAX_UNTRIED, connection.ping()).await.is_ok_and(|answer| answer.is_ok())
}

/// Carries out the rollback of a dropped transaction, and returns whether that ended it: a connection that is still in one is closed.
async fn has_no_transaction<C: sqlx::Connection>(connection: &mut C) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

/// Waits for `connecting`, at most [`CONNECT_TIMEOUT`].
pub(crate) async fn with_connect_timeout<C>(
    connecting: impl Future<Output = Result<C, sqlx::Error>>,
) -> Result<C, sqlx::Error> {
    tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// Creates the file with mode 0600 before SQLite would create it with a wider one; SQLite gives the files beside it the same mode. An
/// error here shows again when the pool connects.
fn create_private(path: &std::path::Path) {
    use std::os::unix::fs::OpenOptionsExt as _;
    drop(std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path));
}
