//! Removing what was deleted from an SQLite file.

use std::{
    env, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use crate::{Connection, Database, StoreError, Tx, with_conn};

/// Space that a rewrite of the file leaves to other work, in bytes.
const RESERVE: u64 = 16 << 20;

/// A checkpoint waits at most 250 ms for readers, because it holds up every writer.
const CHECKPOINT_BUSY_TIMEOUT: &str = "PRAGMA busy_timeout = 250";

/// A rewrite waits longer for a writer of another process.
const REWRITE_BUSY_TIMEOUT: &str = "PRAGMA busy_timeout = 5000";

/// The requests for a rewrite are counted in the head of the file, in a number that SQLite leaves to programs
/// (sqlite.org/pragma.html#pragma_user_version): negative when all of them are done. *Why* a count: a rewrite must not end a request that
/// another process has made meanwhile.
const REQUESTS: &str = "SELECT user_version FROM pragma_user_version()";

impl Tx {
    /// Requests a [vacuum](Database::vacuum) of an SQLite file, from the commit on. The request outlives the process. Does nothing on
    /// PostgreSQL.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn request_vacuum(&mut self) -> Result<(), StoreError> {
        match self.connection() {
            Connection::Postgres(..) => Ok(()),
            Connection::Sqlite(c, state) => Ok(state.run(add_request(c)).await?),
        }
    }
}

impl Database {
    /// Whether a vacuum was [requested](Tx::request_vacuum) and not yet done.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_vacuum_due(&self) -> Result<bool, StoreError> {
        if let Self::Postgres(_) = self {
            return Ok(false);
        }
        let mut reader = self.read_conn().await?;
        let (requests,): (i32,) = with_conn!(reader.connection(), c => sqlx::query_as(REQUESTS).fetch_one(c).await)?;
        Ok(requests > 0)
    }

    /// Removes every trace of deleted rows from an SQLite file: rewrites the file, because a row that moves to another page leaves a copy
    /// behind, and [truncates its log](Self::checkpoint_wal). Writers wait for as long as copying the file takes. Does nothing on
    /// PostgreSQL, which vacuums by itself. Returns false while an older snapshot is being read: call it again later. Where that is known
    /// before, nothing is copied: each copy would stay in the log for as long as the snapshot.
    ///
    /// # Errors
    /// [`StoreError`], also, before anything is copied, where the disk has no space for it.
    pub async fn vacuum(&self) -> Result<bool, StoreError> {
        self.checkpoint(true).await
    }

    /// Moves the write-ahead log of an SQLite file into the file and truncates it. Returns false while an older snapshot is being read,
    /// which still needs the log: call it again later.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn checkpoint_wal(&self) -> Result<bool, StoreError> {
        self.checkpoint(false).await
    }

    async fn checkpoint(&self, rewrites_file: bool) -> Result<bool, StoreError> {
        let Self::Sqlite(pool, writer) = self else { return Ok(true) };
        let _write_permit = Arc::clone(writer).acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let mut connection = SqliteConnection::connect_with(&pool.connect_options()).await?;
        let mut is_truncated = truncate_wal(&mut connection).await?;
        if rewrites_file && is_truncated {
            ensure_space(pool.connect_options().get_filename(), size(&mut connection).await?)?;
            is_truncated = rewrite(&mut connection).await?;
        }
        connection.close().await?;
        Ok(is_truncated)
    }
}

/// Rewrites the file, and ends the requests for it. Returns false while an older snapshot is being read.
async fn rewrite(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let counted = requests(connection).await?;
    sqlx::query(REWRITE_BUSY_TIMEOUT).execute(&mut *connection).await?;
    sqlx::query("VACUUM").execute(&mut *connection).await?;
    let is_truncated = truncate_wal(connection).await?;
    if is_truncated {
        end_requests(connection, counted).await?;
        // Into the file, where tools read it. If a reader has begun, the next checkpoint does so.
        truncate_wal(connection).await?;
    }
    Ok(is_truncated)
}

async fn requests(connection: &mut SqliteConnection) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar(REQUESTS).fetch_one(connection).await
}

async fn set_requests(connection: &mut SqliteConnection, requests: i32) -> Result<(), sqlx::Error> {
    let set = AssertSqlSafe(format!("PRAGMA user_version = {requests}"));
    sqlx::raw_sql(set).execute(connection).await.map(drop)
}

async fn add_request(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let requests = requests(connection).await?;
    set_requests(connection, requests.saturating_abs().checked_add(1).unwrap_or(1)).await
}

/// Ends the requests that were counted before the rewrite. If another process has made one since, all stay.
async fn end_requests(connection: &mut SqliteConnection, counted: i32) -> Result<(), sqlx::Error> {
    sqlx::query(REWRITE_BUSY_TIMEOUT).execute(&mut *connection).await?;
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    if requests(&mut tx).await? == counted {
        set_requests(&mut tx, -counted.saturating_abs()).await?;
    }
    tx.commit().await
}

/// Returns false while an older snapshot is being read.
async fn truncate_wal(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    sqlx::query(CHECKPOINT_BUSY_TIMEOUT).execute(&mut *connection).await?;
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    let (busy, _, _): (i64, i64, i64) = sqlx::query_as(checkpoint).fetch_one(connection).await?;
    Ok(busy == 0)
}

/// The size of the database in bytes, with what is only in its log.
async fn size(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let select = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
    let (size,): (i64,) = sqlx::query_as(select).fetch_one(connection).await?;
    Ok(u64::try_from(size).unwrap_or(0))
}

/// SQLite copies the database to a temporary file, and that into the log. On a disk that is full meanwhile, the writes of others would fail too.
fn ensure_space(file: &Path, size: u64) -> Result<(), sqlx::Error> {
    let temporary = temporary_folder();
    if fs::metadata(file)?.dev() == fs::metadata(&temporary)?.dev() {
        return ensure(2 * size, file);
    }
    ensure(size, file)?;
    ensure(size, &temporary)
}

/// Where SQLite makes temporary files (sqlite.org/tempfiles.html).
fn temporary_folder() -> PathBuf {
    let set = ["SQLITE_TMPDIR", "TMPDIR"].into_iter().filter_map(env::var_os).map(PathBuf::from);
    let usual = ["/var/tmp", "/usr/tmp", "/tmp"].into_iter().map(PathBuf::from);
    set.chain(usual).find(|folder| folder.is_dir()).unwrap_or_else(|| PathBuf::from("."))
}

/// The bytes that the disk has free for this process.
pub(crate) fn free_bytes(disk: &rustix::fs::StatVfs) -> u64 {
    disk.f_bavail * disk.f_frsize
}

fn ensure(size: u64, path: &Path) -> Result<(), sqlx::Error> {
    let disk = rustix::fs::statvfs(path).map_err(io::Error::from)?;
    let (needed, free) = (size + RESERVE, free_bytes(&disk));
    if needed <= free {
        return Ok(());
    }
    let reason = format!(
        "removing deleted data from the database file needs {} MiB on the disk of {}, and {} MiB are free; make space",
        needed.div_ceil(1 << 20),
        path.display(),
        free >> 20
    );
    Err(io::Error::new(io::ErrorKind::StorageFull, reason).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PoolSettings;

    async fn request_vacuum(db: &Database) {
        let mut tx = db.begin().await.expect("begins");
        tx.request_vacuum().await.expect("requests");
        tx.commit().await.expect("commits");
    }

    /// A key rotation vacuums in a process of its own, so no permit of the service keeps an erasure waiting for it.
    #[tokio::test]
    async fn a_request_that_comes_while_a_vacuum_is_under_way_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("test.db");
        let service = Database::sqlite(&file, PoolSettings::default());
        request_vacuum(&service).await;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
        let mut rotation = SqliteConnection::connect_with(&options).await.expect("opens");
        let counted = requests(&mut rotation).await.expect("reads");
        request_vacuum(&service).await;
        end_requests(&mut rotation, counted).await.expect("ends those that it counted");
        assert!(service.is_vacuum_due().await.expect("reads"), "the second request is lost");
        assert!(service.vacuum().await.expect("rewrites"));
        assert!(!service.is_vacuum_due().await.expect("reads"));
        request_vacuum(&service).await;
        end_requests(&mut rotation, counted).await.expect("ends those that it counted");
        assert!(service.is_vacuum_due().await.expect("reads"), "the third request is lost");
        service.close().await;
    }

    #[test]
    fn a_rewrite_needs_space_for_two_copies_and_a_reserve() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.db");
        fs::write(&file, "").expect("written");
        ensure_space(&file, 1000).expect("fits");
        let disk = rustix::fs::statvfs(&file).expect("a disk");
        let free = free_bytes(&disk);
        let error = ensure_space(&file, free).expect_err("does not fit").to_string();
        assert!(error.contains("MiB are free; make space"), "{error}");
    }

    #[tokio::test]
    async fn the_size_and_a_name_without_a_folder_are_read() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.expect("opens");
        let empty = size(&mut connection).await.expect("reads");
        sqlx::query("CREATE TABLE notes (text TEXT)").execute(&mut connection).await.expect("creates");
        assert!(size(&mut connection).await.expect("reads") > empty);
        ensure_space(Path::new("Cargo.toml"), 1000).expect("fits");
    }
}
