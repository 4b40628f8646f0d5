//! Whether the database can serve.

use std::{
    io::{self, ErrorKind},
    path::Path,
    time::Duration,
};

use tokio::time::timeout;

use crate::{Database, StoreError, vacuum::free_bytes};

/// Beyond this wait for a connection of the pool, one is made beside it.
const POOL_PATIENCE: Duration = Duration::from_millis(500);

/// A disk of an SQLite file with fewer free bytes counts as full.
const MIN_FREE: u64 = 1 << 20;

/// Changes no row, and is refused by a server that takes no writes: a standby, or one that is set to read only.
const WRITE_NOTHING: &str = "UPDATE leases SET holder = holder WHERE 1 = 0";

impl Database {
    /// Returns whether the database answers and takes writes. A pool whose connections are all in use does not count as down.
    pub async fn is_up(&self) -> bool {
        self.probe().await.is_ok()
    }

    async fn probe(&self) -> Result<(), StoreError> {
        let sql = match self {
            Self::Postgres(_) => WRITE_NOTHING,
            // A write would wait for those of others.
            Self::Sqlite(pool, _) => {
                ensure_writable(pool.connect_options().get_filename())?;
                "SELECT 1"
            }
        };
        let Ok(reader) = timeout(POOL_PATIENCE, self.read_conn()).await else {
            let mut own = self.own_conn().await?;
            own.connection().run(sql).await?;
            return own.close().await;
        };
        Ok(reader?.connection().run(sql).await?)
    }
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
