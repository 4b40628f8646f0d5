//! Removing what was deleted from an SQLite file.

use std::{fs, io, path::Path, sync::Arc};

use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{Database, StoreError};

/// Space that a rewrite of the file leaves to other work, in bytes.
const RESERVE: u64 = 16 << 20;

/// A checkpoint waits at most 250 ms for readers, because it holds up every writer.
const CHECKPOINT_BUSY_TIMEOUT: &str = "PRAGMA busy_timeout = 250";

impl Database {
    /// Removes every trace of deleted rows from an SQLite file: rewrites the file, because a row that moves to another page leaves a copy
    /// behind, and [truncates its log](Self::checkpoint_wal). Writers wait for as long as copying the file takes. Does nothing on
    /// PostgreSQL, which vacuums by itself. Returns false while an older snapshot is being read: call it again later.
    ///
    /// # Errors
    /// [`StoreError`], also, before anything is copied, where the disk has no space for it.
    pub async fn vacuum(&self) -> Result<bool, StoreError> {
        self.checkpoint_after(Some("VACUUM")).await
    }

    /// Moves the write-ahead log of an SQLite file into the file and truncates it. Returns false while an older snapshot is being read,
    /// which still needs the log: call it again later.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn checkpoint_wal(&self) -> Result<bool, StoreError> {
        self.checkpoint_after(None).await
    }

    async fn checkpoint_after(&self, statement: Option<&'static str>) -> Result<bool, StoreError> {
        let Self::Sqlite(pool, writer) = self else { return Ok(true) };
        let _write_permit = Arc::clone(writer).acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let mut connection = SqliteConnection::connect_with(&pool.connect_options()).await?;
        if let Some(statement) = statement {
            ensure_space(&pool.connect_options())?;
            sqlx::query(statement).execute(&mut connection).await?;
        }
        sqlx::query(CHECKPOINT_BUSY_TIMEOUT).execute(&mut connection).await?;
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        let (busy, _, _): (i64, i64, i64) = sqlx::query_as(checkpoint).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(busy == 0)
    }
}

/// SQLite copies the file to a temporary one and that into the log. On a disk that is full meanwhile, the writes of others would fail too.
fn ensure_space(options: &SqliteConnectOptions) -> Result<(), sqlx::Error> {
    let file = options.get_filename();
    let (size, folder) = (fs::metadata(file)?.len(), file.parent().unwrap_or(Path::new(".")));
    let disk = rustix::fs::statvfs(folder).map_err(io::Error::from)?;
    ensure(size, disk.f_bavail * disk.f_frsize)
}

fn ensure(size: u64, free: u64) -> Result<(), sqlx::Error> {
    let needed = 2 * size + RESERVE;
    if needed <= free {
        return Ok(());
    }
    let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
    let reason = format!(
        "to remove deleted data from the database file takes {} MiB of disk space, and {} MiB are free; make space",
        mebibytes(needed),
        free >> 20
    );
    Err(io::Error::new(io::ErrorKind::StorageFull, reason).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rewrite_takes_twice_the_file_and_leaves_a_reserve() {
        const MIB: u64 = 1 << 20;
        ensure(10 * MIB, 36 * MIB).expect("fits");
        let error = ensure(10 * MIB, 36 * MIB - 1).expect_err("does not fit").to_string();
        assert!(error.contains("takes 36 MiB") && error.contains("35 MiB are free"), "{error}");
    }
}
