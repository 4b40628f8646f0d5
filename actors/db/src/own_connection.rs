//! A connection of its own beside the pool, which takes none from others.

use sqlx::{Connection as _, PgConnection, SqliteConnection};

use crate::{
    Database, StoreError,
    connection::{Connection, StatementState},
    database::with_connect_timeout,
};

/// A connection that no pool has. A dropped one is closed and not drained.
#[derive(Debug)]
pub(crate) enum OwnConn {
    Postgres(PgConnection, StatementState),
    Sqlite(SqliteConnection, StatementState),
}

impl Database {
    /// Connects beside the pool.
    pub(crate) async fn own_conn(&self) -> Result<OwnConn, StoreError> {
        Ok(match self {
            Self::Postgres(pool) => {
                let connection = with_connect_timeout(pool.connect()).await?;
                OwnConn::Postgres(connection, StatementState::on_postgres(None, pool.is_behind_pooler))
            }
            Self::Sqlite(pool, _) => {
                let connection = SqliteConnection::connect_with(&pool.connect_options()).await?;
                OwnConn::Sqlite(connection, StatementState::on_sqlite())
            }
        })
    }
}

impl OwnConn {
    /// The connection, for one query.
    pub(crate) fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Postgres(c, state) => Connection::Postgres(c, state),
            Self::Sqlite(c, state) => Connection::Sqlite(c, state),
        }
    }

    /// Closes the connection.
    pub(crate) async fn close(self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(c, _) => c.close().await?,
            Self::Sqlite(c, _) => c.close().await?,
        }
        Ok(())
    }
}
