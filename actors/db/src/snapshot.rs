//! A consistent view of the database for long reads.

use crate::{Connection, Database, StoreError, own_connection::OwnConn};

/// The committed data as of the first read, whatever is written later.
///
/// A snapshot has a connection of its own beside the pool, so that a slow reader takes none from others. SQLite cannot truncate its write-ahead
/// log while a snapshot is open: bound their number and duration.
#[derive(Debug)]
pub struct Snapshot(OwnConn);

impl Database {
    /// Opens a snapshot. On SQLite it is a deferred transaction that never writes.
    ///
    /// # Errors
    /// [`StoreError`] when no connection is available.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let begin = match self {
            Self::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            Self::Sqlite(..) => "BEGIN DEFERRED",
        };
        let mut own = self.own_conn().await?;
        own.connection().run(begin).await?;
        Ok(Snapshot(own))
    }
}

impl Snapshot {
    /// The connection, for one query.
    pub fn connection(&mut self) -> Connection<'_> {
        self.0.connection()
    }

    /// Closes the connection.
    ///
    /// # Errors
    /// [`StoreError`] when the connection broke; the snapshot has ended all the same.
    pub async fn close(self) -> Result<(), StoreError> {
        self.0.close().await
    }
}

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;

    use super::*;
    use crate::{PoolSettings, with_conn};

    const TEXT: &str = "text that must not remain ";

    async fn run(db: &Database, sql: &str) {
        let mut tx = db.begin().await.expect("begins");
        let sql = AssertSqlSafe(sql.to_owned());
        with_conn!(tx.connection(), c => sqlx::query(sql).execute(c).await.map(drop)).expect("runs");
        tx.commit().await.expect("commits");
    }

    /// Requests a vacuum in a transaction, which it commits or not.
    async fn request_vacuum(db: &Database, commits: bool) {
        let mut tx = db.begin().await.expect("begins");
        tx.request_vacuum().await.expect("requests");
        if commits { tx.commit().await } else { tx.rollback().await }.expect("ends");
    }

    async fn counted(snapshot: &mut Snapshot) -> i64 {
        let sql = "SELECT count(*) FROM said";
        let (rows,): (i64,) =
            with_conn!(snapshot.connection(), c => sqlx::query_as(sql).fetch_one(c).await).expect("counts");
        rows
    }

    #[tokio::test]
    async fn a_vacuum_removes_deleted_rows_once_no_older_snapshot_is_open() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Database::sqlite(&folder.path().join("test.db"), PoolSettings::default());
        let holds = || {
            let files = std::fs::read_dir(folder.path()).expect("readable").map(|file| file.expect("a file").path());
            files
                .map(|file| std::fs::read(file).expect("readable"))
                .any(|bytes| bytes.windows(TEXT.len()).any(|window| window == TEXT.as_bytes()))
        };
        run(&db, "CREATE TABLE said (id INTEGER PRIMARY KEY, text TEXT NOT NULL)").await;
        run(&db, &format!("INSERT INTO said (text) VALUES ('{}')", TEXT.repeat(1000))).await;
        let mut snapshot = db.snapshot().await.expect("connects");
        assert_eq!(counted(&mut snapshot).await, 1);
        run(&db, "DELETE FROM said").await;
        request_vacuum(&db, false).await;
        assert!(!db.is_vacuum_due().await.expect("reads"));
        request_vacuum(&db, true).await;
        assert_eq!(counted(&mut snapshot).await, 1, "the snapshot is older than the deletion");
        assert!(holds(), "the log holds the row while the snapshot is open");
        let log = || std::fs::metadata(folder.path().join("test.db-wal")).expect("a log").len();
        let before = log();
        assert!(!db.vacuum().await.expect("asks"));
        assert_eq!(log(), before, "nothing is copied that would stay in the log");
        snapshot.close().await.expect("closes");
        assert!(db.is_vacuum_due().await.expect("reads"), "it is not done");
        assert!(db.vacuum().await.expect("asks") && !holds());
        assert!(!db.is_vacuum_due().await.expect("reads"));
        assert_eq!(counted(&mut db.snapshot().await.expect("connects")).await, 0);
        db.close().await;
    }
}
