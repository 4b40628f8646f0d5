//! Whether the database can serve.

use std::{
    io::{self, ErrorKind},
    path::Path,
    time::Duration,
};

use tokio::time::timeout;

use crate::{Connection, Database, StoreError, migrations, vacuum::free_bytes, with_conn};

/// Beyond this wait for a connection of the pool, one is made beside it.
const POOL_PATIENCE: Duration = Duration::from_millis(500);

/// A disk of an SQLite file with fewer free bytes counts as full.
const MIN_FREE: u64 = 1 << 20;

const LAST_MIGRATION: &str = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";

/// The same. Changes no row, and is refused by a server that takes no writes: a standby, or one that is set to read only.
const WRITE_NOTHING: &str = "WITH nothing AS (UPDATE leases SET holder = holder WHERE 1 = 0) \
     SELECT coalesce(max(version), 0) FROM _sqlx_migrations";

impl Database {
    /// Returns whether the database answers, takes writes and has the schema of this program. A pool whose connections are all in use does not
    /// count as down.
    pub async fn is_up(&self) -> bool {
        self.probe().await.is_ok()
    }

    /// Like [`Self::is_up`], with the reason.
    ///
    /// # Errors
    /// [`StoreError::SchemaTooOld`], and what a statement that needs no row can fail with. It quotes no stored value.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let sql = match self {
            Self::Postgres(_) => WRITE_NOTHING,
            // A write would wait for those of others.
            Self::Sqlite(pool, _) => {
                ensure_writable(pool.connect_options().get_filename())?;
                LAST_MIGRATION
            }
        };
        let Ok(reader) = timeout(POOL_PATIENCE, self.read_conn()).await else {
            let mut own = self.own_conn().await?;
            let last = number(own.connection(), sql).await?;
            own.close().await?;
            return self.check_schema(last);
        };
        self.check_schema(number(reader?.connection(), sql).await?)
    }

    fn check_schema(&self, last: i64) -> Result<(), StoreError> {
        let needed = migrations::last_version(self);
        if last < needed { Err(StoreError::SchemaTooOld { last, needed }) } else { Ok(()) }
    }
}

async fn number(connection: Connection<'_>, sql: &'static str) -> Result<i64, sqlx::Error> {
    let (number,): (i64,) = with_conn!(connection, c => sqlx::query_as(sql).fetch_one(c).await)?;
    Ok(number)
}

fn ensure_writable(file: &Path) -> Result<(), sqlx::Error> {
    let disk = rustix::fs::statvfs(file).map_err(io::Error::from)?;
    let is_read_only = disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY);
    let problem = match free_bytes(&disk) {
        _ if is_read_only => ErrorKind::ReadOnlyFilesystem,
        free if free < MIN_FREE => ErrorKind::StorageFull,
        _ => return Ok(()),
    };
    Err(io::Error::from(problem).into())
}
