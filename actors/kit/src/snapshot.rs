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

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;

    use super::*;
    use crate::{db::PoolSettings, on};

    const WORDS: &str = "words that shall be forgotten ";

    async fn run(db: &Database, sql: &str) {
        let mut tx = db.begin().await.expect("begins");
        let sql = AssertSqlSafe(sql.to_owned());
        on!(tx.connection(), c => sqlx::query(sql).execute(c).await.map(drop)).expect("runs");
        tx.commit().await.expect("commits");
    }

    async fn counted(snapshot: &mut Snapshot) -> i64 {
        let sql = "SELECT count(*) FROM said";
        let (rows,): (i64,) = on!(snapshot.connection(), c => sqlx::query_as(sql).fetch_one(c).await).expect("counts");
        rows
    }

    #[tokio::test]
    async fn what_is_deleted_is_forgotten_once_nobody_reads_what_was_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Database::sqlite(&folder.path().join("test.db"), PoolSettings::default());
        let holds = || {
            let files = std::fs::read_dir(folder.path()).expect("readable").map(|file| file.expect("a file").path());
            files
                .map(|file| std::fs::read(file).expect("readable"))
                .any(|bytes| bytes.windows(WORDS.len()).any(|window| window == WORDS.as_bytes()))
        };
        run(&db, "CREATE TABLE said (id INTEGER PRIMARY KEY, text TEXT NOT NULL)").await;
        run(&db, &format!("INSERT INTO said (text) VALUES ('{}')", WORDS.repeat(1000))).await;
        let mut snapshot = db.snapshot().await.expect("connects");
        assert_eq!(counted(&mut snapshot).await, 1);
        run(&db, "DELETE FROM said").await;
        assert_eq!(counted(&mut snapshot).await, 1, "it is of its moment");
        assert!(holds(), "the log holds it, as long as somebody reads it");
        assert!(!db.forget_deleted().await.expect("asks"));
        snapshot.close().await.expect("closes");
        assert!(db.forget_deleted().await.expect("asks") && !holds());
        assert_eq!(counted(&mut db.snapshot().await.expect("connects")).await, 0);
        db.close().await;
    }
}
