//! The connection on which a database is adopted.

use sqlx::{AssertSqlSafe, Connection as _, FromRow, PgConnection, postgres::PgRow};

use super::AdoptionError;
use crate::{
    concurrent_index::make_valid,
    database::{PostgresPool, with_connect_timeout},
    lock_wait::{MAX_TRIES, PAUSE, TRIES_UNTIL_LOGGED, is_lock_wait, lock_timeout},
};

/// A connection beside the pool. No statement has parameters and none has a name, so that a pooler may stand between.
pub(super) struct Session {
    connection: PgConnection,
    is_behind_pooler: bool,
}

impl Session {
    pub(super) async fn connect(pool: &PostgresPool) -> Result<Self, sqlx::Error> {
        let connection = with_connect_timeout(pool.connect()).await?;
        Ok(Self { connection, is_behind_pooler: pool.is_behind_pooler })
    }

    async fn run(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.connection).await.map(drop)
    }

    /// Runs statements, and returns the rows of the last one.
    pub(super) async fn rows<T>(&mut self, sql: &str) -> Result<Vec<T>, sqlx::Error>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut self.connection).await?;
        rows.iter().map(T::from_row).collect()
    }

    /// Begins a transaction that only reads, of one state of the database, and has no deadline. It may use memory for whole tables of keys, which
    /// have no indexes yet.
    pub(super) async fn begin_reading(&mut self) -> Result<(), sqlx::Error> {
        self.run(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0; \
             SET LOCAL lock_timeout = '5s'; SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL work_mem = '128MB'",
        )
        .await
    }

    pub(super) async fn rollback(&mut self) -> Result<(), sqlx::Error> {
        self.run("ROLLBACK").await
    }

    /// Runs statements in one transaction, and returns the rows of the last one. Where another program holds a table, it rolls back and tries
    /// again, for at least 90 s.
    pub(super) async fn transact<T>(&mut self, statements: &[String]) -> Result<Vec<T>, AdoptionError>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        for tries in 0..=MAX_TRIES {
            match self.try_transact(lock_timeout(tries), statements).await {
                Err(error) if is_lock_wait(&error) => {}
                done => return Ok(done?),
            }
            if tries == TRIES_UNTIL_LOGGED {
                tracing::warn!("adoption waits for a table that a long transaction or a vacuum holds");
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(AdoptionError::TablesInUse)
    }

    async fn try_transact<T>(&mut self, lock_timeout: &str, statements: &[String]) -> Result<Vec<T>, sqlx::Error>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        self.run(&format!(
            "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '{lock_timeout}'; \
             SET LOCAL idle_in_transaction_session_timeout = 0"
        ))
        .await?;
        let done = self.run_all(statements).await;
        match done {
            Ok(rows) => self.run("COMMIT").await.map(|()| rows),
            Err(error) => {
                // A broken connection has rolled back too.
                drop(self.rollback().await);
                Err(error)
            }
        }
    }

    async fn run_all<T>(&mut self, statements: &[String]) -> Result<Vec<T>, sqlx::Error>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        let Some((last, first)) = statements.split_last() else { return Ok(Vec::new()) };
        for statement in first {
            self.run(statement).await?;
        }
        self.rows(last).await
    }

    /// Makes an index while other programs write.
    pub(super) async fn make_index(&mut self, index: &str, sql: &str) -> Result<(), AdoptionError> {
        if !self.is_behind_pooler {
            // The role may have some.
            self.run("SET statement_timeout = 0; SET lock_timeout = 0").await?;
        }
        for _ in 0..=MAX_TRIES {
            // PostgreSQL ends one of two that wait for each other.
            match make_valid(&mut self.connection, index, sql).await {
                Err(error) if is_lock_wait(&error) => tokio::time::sleep(PAUSE).await,
                made => return Ok(made?),
            }
        }
        Err(AdoptionError::TablesInUse)
    }

    /// Begins a transaction that holds the lock of this name, when no other program has it. Between its statements, the transaction has no
    /// snapshot, for which an index would wait.
    pub(super) async fn lock(&mut self, name: &str) -> Result<(), AdoptionError> {
        let take = format!("SELECT pg_try_advisory_xact_lock(hashtextextended('{name}', 0))");
        let mut tries = 0_u32;
        loop {
            self.run("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0").await?;
            if let [(true,)] = self.rows(&take).await?.as_slice() {
                return Ok(());
            }
            self.rollback().await?;
            tries = tries.saturating_add(1);
            if tries == TRIES_UNTIL_LOGGED {
                tracing::info!("waiting for another node, which adopts the database");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub(super) async fn close(self) {
        // What it did is committed.
        drop(self.connection.close().await);
    }
}

/// An identifier in SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in SQL.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
