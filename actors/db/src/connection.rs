//! Connections of the pool and transactions on them, whichever the database is.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{
    PgConnection, Postgres, SqlSafeStr, Sqlite, SqliteConnection, pool::PoolConnection, postgres::PgArguments,
    query::Query,
};
use sqlx_core::transaction::TransactionManager as _;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout},
};

use crate::{
    StoreError,
    error::{READ_ONLY, SERVER_ENDS},
    executor::PgExecutor,
};

/// The longest that a statement may take on PostgreSQL. Nearly all take milliseconds, and large deletions go in portions; a chart, the longest one,
/// counts 100,000 detections in some 30 ms. A server that says nothing for as long is busy beyond measure, or gone.
const POSTGRES_DEADLINE: Duration = Duration::from_secs(4);

/// The longest that a statement may take on SQLite, which cannot be gone.
const SQLITE_DEADLINE: Duration = Duration::from_secs(20);

/// How long the connections to a server that takes no writes are kept before they are replaced again.
const READ_ONLY_PAUSE: Duration = Duration::from_secs(2);

/// When a connection of a pool was last found broken or silent. The server may have restarted, so the connections made before are closed and not
/// used. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct LastBreak(Arc<Mutex<Option<Instant>>>);

impl LastBreak {
    /// Whether a connection of that age was made before the last break.
    pub(crate) fn concerns(&self, age: Duration) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|at| at.elapsed() < age)
    }

    /// Records that a connection was found broken or silent.
    pub(crate) fn record(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Records an error that says so.
    fn record_error(&self, error: &sqlx::Error) {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A server that stays read-only refuses each write, and its new connections are no better.
        let was_just_replaced = last.is_some_and(|at| at.elapsed() < READ_ONLY_PAUSE);
        if is_broken(error) || (is_read_only(error) && !was_just_replaced) {
            self.record();
        }
    }
}

/// Whether an error says that a connection is gone, silent or about to be closed by its server.
pub(crate) fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::PoolTimedOut => true,
        sqlx::Error::Database(refused) => refused.code().is_some_and(|code| code.starts_with(SERVER_ENDS)),
        _ => false,
    }
}

/// Whether an error says that the server of a connection takes no writes. After a failover, another does at the same address.
fn is_read_only(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|refused| refused.code().is_some_and(|code| code == READ_ONLY))
}

/// Runs the same query on the database of a [`Connection`], within the [deadline](StatementState::run) of a statement.
///
/// `with_conn!(tx.connection(), c => sqlx::query(SQL).bind(id).execute(c).await)`
#[macro_export]
macro_rules! with_conn {
    ($connection:expr, $c:ident => $run:expr) => {
        match $connection {
            $crate::Connection::Postgres(connection, state) => {
                let $c = state.executor(connection);
                state.run(async { $run }).await
            }
            $crate::Connection::Sqlite($c, state) => state.run(async { $run }).await,
        }
    };
}

/// Whether a statement may still be running on a connection: it passed its deadline, or its caller has gone. Such a connection is closed and
/// never pooled.
#[derive(Debug)]
pub struct StatementState {
    is_running: bool,
    deadline: Duration,
    /// None where no pool learns of a break: on SQLite, and for a connection of its own.
    last_break: Option<LastBreak>,
    /// Whether a pooler may give the next transaction another connection of the server.
    is_behind_pooler: bool,
}

impl StatementState {
    /// Of a connection to PostgreSQL, in a pool if it has one's `last_break`.
    pub(crate) fn on_postgres(last_break: Option<LastBreak>, is_behind_pooler: bool) -> Self {
        Self { is_running: false, deadline: POSTGRES_DEADLINE, last_break, is_behind_pooler }
    }

    /// Of a connection to SQLite.
    pub(crate) fn on_sqlite() -> Self {
        Self { is_running: false, deadline: SQLITE_DEADLINE, last_break: None, is_behind_pooler: false }
    }

    /// The connection as [`with_conn!`](crate::with_conn) hands it to a query.
    pub fn executor<'c>(&self, connection: &'c mut PgConnection) -> PgExecutor<'c> {
        PgExecutor::new(connection, !self.is_behind_pooler)
    }

    /// Runs a statement for at most 4 s, 20 s on SQLite, where [`Tx`] has not lifted that. *Why*: a connection whose peer has gone
    /// without a word, as in a failover, says nothing until TCP gives up, which may take two hours.
    ///
    /// # Errors
    /// [`sqlx::Error::PoolTimedOut`] at the deadline, and the statement's own errors.
    pub async fn run<T>(&mut self, statement: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
        self.is_running = true;
        let result = timeout(self.deadline, statement).await;
        self.is_running = result.is_err();
        result.unwrap_or(Err(sqlx::Error::PoolTimedOut)).inspect_err(|error| {
            if let Some(last_break) = &self.last_break {
                last_break.record_error(error);
            }
        })
    }
}

/// A borrowed connection of either database, for [`with_conn!`](crate::with_conn).
#[derive(Debug)]
pub enum Connection<'a> {
    /// To PostgreSQL.
    Postgres(&'a mut PgConnection, &'a mut StatementState),
    /// To SQLite.
    Sqlite(&'a mut SqliteConnection, &'a mut StatementState),
}

impl Connection<'_> {
    /// Runs a statement without parameters.
    pub(crate) async fn run(self, sql: &'static str) -> Result<(), sqlx::Error> {
        with_conn!(self, c => sqlx::raw_sql(sql).execute(c).await.map(drop))
    }
}

/// How long a connection that goes back to its pool may take to answer.
const RETURN_DEADLINE: Duration = Duration::from_secs(2);

/// A connection of the pool. Dropped while a statement may be running on it, it is closed.
#[derive(Debug)]
pub struct Pooled<DB: sqlx::Database> {
    connection: PoolConnection<DB>,
    state: StatementState,
}

impl<DB: sqlx::Database> Pooled<DB> {
    pub(crate) fn new(connection: PoolConnection<DB>, state: StatementState) -> Self {
        Self { connection, state }
    }
}

impl<DB: sqlx::Database> Drop for Pooled<DB> {
    fn drop(&mut self) {
        if self.state.is_running {
            return self.connection.close_on_drop();
        }
        // *Why* not by its own drop: sqlx waits without a deadline for the answer of a connection, which keeps its place in the pool meanwhile.
        let (returning, last_break) = (self.connection.return_to_pool(), self.state.last_break.clone());
        tokio::spawn(async move {
            if let (Err(_), Some(last_break)) = (timeout(RETURN_DEADLINE, returning).await, last_break) {
                last_break.record();
            }
        });
    }
}

/// A connection for reading.
#[derive(Debug)]
pub enum ReadConn {
    /// To PostgreSQL.
    Postgres(Pooled<Postgres>),
    /// To PostgreSQL behind a pooler, which may take the server's connection away between preparing a statement and executing it, except
    /// within a transaction.
    BehindPooler(PooledTx<Postgres>),
    /// To SQLite.
    Sqlite(Pooled<Sqlite>),
}

impl ReadConn {
    /// The connection, for one query.
    pub fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Postgres(Pooled { connection, state })
            | Self::BehindPooler(PooledTx { pooled: Pooled { connection, state }, .. }) => {
                Connection::Postgres(connection, state)
            }
            Self::Sqlite(Pooled { connection, state }) => Connection::Sqlite(connection, state),
        }
    }
}

/// A transaction on a connection of the pool. Dropped before it has ended, it is rolled back. The connection is closed where that is in
/// doubt: while a statement may be running, and after a `COMMIT` or `ROLLBACK` that failed.
#[derive(Debug)]
pub struct PooledTx<DB: sqlx::Database> {
    pooled: Pooled<DB>,
    has_ended: bool,
}

impl<DB: sqlx::Database> PooledTx<DB> {
    pub(crate) async fn begin(mut pooled: Pooled<DB>, sql: Option<&'static str>) -> Result<Self, sqlx::Error> {
        let Pooled { connection, state } = &mut pooled;
        state
            .run(DB::TransactionManager::begin(connection, sql.map(SqlSafeStr::into_sql_str)))
            .await
            .inspect_err(|_| state.is_running = true)?;
        Ok(Self { pooled, has_ended: false })
    }

    async fn commit(mut self) -> Result<(), sqlx::Error> {
        let Pooled { connection, state } = &mut self.pooled;
        let committed = state.run(DB::TransactionManager::commit(connection)).await;
        self.end(committed)
    }

    async fn rollback(mut self) -> Result<(), sqlx::Error> {
        let Pooled { connection, state } = &mut self.pooled;
        let rolled_back = state.run(DB::TransactionManager::rollback(connection)).await;
        self.end(rolled_back)
    }

    fn end(&mut self, result: Result<(), sqlx::Error>) -> Result<(), sqlx::Error> {
        self.has_ended = true;
        self.pooled.state.is_running = result.is_err();
        result
    }
}

impl<DB: sqlx::Database> Drop for PooledTx<DB> {
    fn drop(&mut self) {
        if !self.has_ended && !self.pooled.state.is_running {
            DB::TransactionManager::start_rollback(&mut self.pooled.connection);
        }
    }
}

/// A transaction. It is rolled back when it is dropped before [`Tx::commit`].
#[derive(Debug)]
pub enum Tx {
    /// On PostgreSQL, READ COMMITTED.
    Postgres(PooledTx<Postgres>),
    /// On SQLite, with the permit to write.
    Sqlite(PooledTx<Sqlite>, OwnedSemaphorePermit),
}

impl Tx {
    /// The connection, for one query.
    pub fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Postgres(PooledTx { pooled: Pooled { connection, state }, .. }) => {
                Connection::Postgres(connection, state)
            }
            Self::Sqlite(PooledTx { pooled: Pooled { connection, state }, .. }, _) => {
                Connection::Sqlite(connection, state)
            }
        }
    }

    /// Runs a statement that only PostgreSQL needs, mostly to lock rows: SQLite has one writer, which is this transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn on_postgres(&mut self, query: Query<'_, Postgres, PgArguments>) -> Result<(), StoreError> {
        if let Connection::Postgres(c, state) = self.connection() {
            let c = state.executor(c);
            state.run(query.execute(c)).await?;
        }
        Ok(())
    }

    /// Lifts the deadlines of statements, lock waits and pauses until the transaction ends, for what may take long.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn lift_deadlines(&mut self) -> Result<(), StoreError> {
        let lift = "SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true), \
            set_config('idle_in_transaction_session_timeout', '0', true)";
        self.on_postgres(sqlx::query(lift)).await?;
        let (Connection::Postgres(_, state) | Connection::Sqlite(_, state)) = self.connection();
        state.deadline = Duration::MAX;
        Ok(())
    }

    /// Takes the lock of this name until the transaction ends. It is a transaction lock, so that a pgbouncer may stand between. On SQLite,
    /// which has one writer at a time, it does nothing. Take at most one lock in a transaction, before any other statement: this rules
    /// out deadlocks.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lock(&mut self, name: &str) -> Result<(), StoreError> {
        self.on_postgres(sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))").bind(name)).await
    }

    /// Takes the lock of this name until the transaction ends, unless another one has it, and returns whether it did. As [`lock`](Self::lock), it
    /// takes it always on SQLite.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn try_lock(&mut self, name: &str) -> Result<bool, StoreError> {
        let Connection::Postgres(c, state) = self.connection() else { return Ok(true) };
        let select = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))").bind(name);
        let c = state.executor(c);
        Ok(state.run(select.fetch_one(c)).await?)
    }

    /// Commits.
    ///
    /// # Errors
    /// [`StoreError`]: the database holds nothing of the transaction, or, with [`StoreError::OutcomeUnknown`], all or nothing.
    pub async fn commit(self) -> Result<(), StoreError> {
        let committed = match self {
            Self::Postgres(t) => t.commit().await,
            Self::Sqlite(t, _write_permit) => t.commit().await,
        };
        committed.map_err(StoreError::of_commit)
    }

    /// Rolls back.
    ///
    /// # Errors
    /// [`StoreError`] when the connection broke, which rolls back as well.
    pub async fn rollback(self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(t) => t.rollback().await?,
            Self::Sqlite(t, _write_permit) => t.rollback().await?,
        }
        Ok(())
    }
}
