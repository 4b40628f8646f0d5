//! What a database holds at one moment, for those who read for long.

use sqlx::{Connection as _, PgConnection, SqliteConnection};

use crate::{Connection, Database, Failure, db::within_reach};

/// What was committed when it was first looked at, however long one reads and whatever is written meanwhile.
///
/// It has a connection of its own beside the pool: whoever reads slowly takes none from others, and one that is dropped halfway is cut,
/// not drained. An SQLite file cannot shorten its write-ahead log while somebody reads what was before: bound how long and how many.
#[derive(Debug)]
pub enum Snapshot {
    /// Of PostgreSQL: REPEATABLE READ, READ ONLY.
    Postgres(PgConnection),
    /// Of SQLite: a deferred transaction that never writes.
    Sqlite(SqliteConnection),
}

impl Database {
    /// Connects, and begins to read at one moment.
    ///
    /// # Errors
    /// [`Failure::Store`] when no connection is to be had.
    pub async fn snapshot(&self) -> Result<Snapshot, Failure> {
        match self {
            Self::Postgres(pool) => {
                let mut connection = within_reach(PgConnection::connect_with(&pool.connect_options())).await?;
                sqlx::query("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut connection).await?;
                Ok(Snapshot::Postgres(connection))
            }
            Self::Sqlite(pool, _) => {
                let mut connection = SqliteConnection::connect_with(&pool.connect_options()).await?;
                sqlx::query("BEGIN DEFERRED").execute(&mut connection).await?;
                Ok(Snapshot::Sqlite(connection))
            }
        }
    }
}

impl Snapshot {
    /// The connection, for one query.
    pub fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Postgres(c) => Connection::Postgres(c),
            Self::Sqlite(c) => Connection::Sqlite(c),
        }
    }

    /// Lets go of it in good order.
    ///
    /// # Errors
    /// [`Failure::Store`] when the connection broke; it is gone all the same.
    pub async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Postgres(c) => c.close().await?,
            Self::Sqlite(c) => c.close().await?,
        }
        Ok(())
    }
}
