//! Connections whose state is in doubt are closed and never pooled, on both databases.

use std::time::Duration;

use faceofmind_base::WriteGate;
use faceofmind_db::{Database, PoolSettings, ReadConn, StoreError, with_conn};
use faceofmind_testing::{self as testing, TcpProxy};
use tokio::time::{Instant, timeout};

/// A row whose parent is missing, which both databases find out at the commit.
const CHECKED_AT_COMMIT: &str = "CREATE TABLE parents (id int PRIMARY KEY); \
    CREATE TABLE children (parent int REFERENCES parents DEFERRABLE INITIALLY DEFERRED); \
    INSERT INTO children VALUES (7)";

/// Takes every connection of the pool at once, and asks each for this number.
async fn assert_all_answer(db: &Database, number: i64) {
    let mut connections = Vec::new();
    for _ in 0..4 {
        connections.push(db.read_conn().await.expect("a connection"));
    }
    for reader in &mut connections {
        let sql = "SELECT CAST($1 AS BIGINT)";
        let (answer,): (i64,) =
            with_conn!(reader.connection(), c => sqlx::query_as(sql).bind(number).fetch_one(c).await).expect("answers");
        assert_eq!(answer, number);
    }
}

/// As after `COMMIT` on a full disk: SQLite has ended the transaction, and the pool's connection counts it as open.
#[tokio::test]
async fn a_transaction_that_cannot_be_ended_poisons_no_connection() {
    for db in testing::databases().await {
        for _ in 0..8 {
            let mut tx = db.begin().await.expect("no connection is poisoned");
            with_conn!(tx.connection(), c => sqlx::raw_sql("ROLLBACK").execute(c).await.map(drop)).expect("ends it");
            let _doubtful = tx.commit().await;
            let mut dropped = db.begin().await.expect("no connection is poisoned");
            with_conn!(dropped.connection(), c => sqlx::raw_sql("ROLLBACK").execute(c).await.map(drop))
                .expect("ends it");
        }
        assert_all_answer(&db, 1).await;
    }
}

#[tokio::test]
async fn a_commit_that_is_refused_writes_nothing_and_poisons_no_connection() {
    for db in testing::databases().await {
        for _ in 0..8 {
            let mut tx = db.begin().await.expect("no connection is poisoned");
            with_conn!(tx.connection(), c => sqlx::raw_sql(CHECKED_AT_COMMIT).execute(c).await.map(drop))
                .expect("runs");
            assert!(matches!(tx.commit().await, Err(StoreError::Rejected(_))));
        }
        assert_all_answer(&db, 2).await;
    }
}

#[tokio::test]
async fn a_statement_whose_caller_has_gone_answers_no_other_caller() {
    for db in testing::databases().await {
        let slow = match &db {
            Database::Postgres(_) => "SELECT 40 FROM pg_sleep(60)",
            Database::Sqlite(..) => {
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000) SELECT count(*) FROM n"
            }
        };
        for _ in 0..4 {
            let mut reader = db.read_conn().await.expect("a connection");
            let statement =
                async { with_conn!(reader.connection(), c => sqlx::query(slow).execute(c).await.map(drop)) };
            assert!(timeout(Duration::from_millis(20), statement).await.is_err(), "it is still running");
        }
        assert_all_answer(&db, 3).await;
    }
}

/// Returns a pool of four connections to PostgreSQL, all made, behind a proxy.
async fn behind_proxy() -> (Database, TcpProxy) {
    let server = std::env::var("FOM_TEST_POSTGRES").expect("run the tests with `cargo xtask test`");
    let address = server.rsplit('@').next().expect("a host").to_owned();
    let proxy = TcpProxy::start(&address).await;
    let settings = PoolSettings { max_connections: 4, ..PoolSettings::default() };
    let url = format!("{}/postgres", server.replace(&address, &proxy.address));
    let db = Database::postgres(&url, settings).expect("a URL");
    assert_all_answer(&db, 4).await;
    (db, proxy)
}

/// A firewall that forgets a connection closes it for neither end.
#[tokio::test]
async fn a_silent_connection_is_given_up_and_replaced() {
    let (db, proxy) = behind_proxy().await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(db.begin().await.expect("begins"));
    }
    proxy.silence();
    tokio::time::pause();
    for tx in &mut silent {
        let began = Instant::now();
        let asked = with_conn!(tx.connection(), c => sqlx::query("SELECT 1").execute(c).await.map(drop));
        assert!(matches!(asked.map_err(StoreError::from), Err(StoreError::TimedOut(_))));
        assert_eq!(began.elapsed().as_secs(), 4, "what the silence cost is over as soon");
    }
    tokio::time::resume();
    drop(silent);
    assert_all_answer(&db, 5).await;
}

/// sqlx asks a connection that goes back to the pool whether it answers.
#[tokio::test]
async fn a_connection_that_falls_silent_before_it_goes_back_leaves_its_place() {
    let (db, proxy) = behind_proxy().await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(db.read_conn().await.expect("a connection"));
    }
    proxy.silence();
    drop(silent);
    assert_all_answer(&db, 7).await;
    timeout(Duration::from_secs(5), db.close()).await.expect("no connection is waited for");
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_may_have_been_done() {
    let (db, proxy) = behind_proxy().await;
    let mut tx = db.begin().await.expect("begins");
    with_conn!(tx.connection(), c => sqlx::query("SELECT 1").execute(c).await.map(drop)).expect("answers");
    proxy.cut();
    assert!(matches!(tx.commit().await, Err(StoreError::OutcomeUnknown(_))));
}

#[tokio::test]
async fn a_request_that_was_withdrawn_begins_no_transaction() {
    for db in testing::databases().await {
        let gate = WriteGate::default();
        assert!(gate.clone().scope(db.begin()).await.is_ok() && gate.has_begun());
        let gate = WriteGate::default();
        assert!(gate.withdraw());
        assert!(matches!(gate.scope(db.begin()).await, Err(StoreError::TimedOut(_))));
        assert_all_answer(&db, 6).await;
    }
}

/// A restarted server closes every connection. Those in the pool are dead, and none of them is handed out.
#[tokio::test]
async fn a_pool_of_dead_connections_is_emptied_at_the_first_sign() {
    let (db, proxy) = behind_proxy().await;
    proxy.cut();
    proxy.restore();
    db.begin().await.expect("nothing was sent, so a new connection begins").rollback().await.expect("ends");
    assert_all_answer(&db, 7).await;
}

#[tokio::test]
async fn a_connection_that_was_idle_is_tried_before_it_is_used() {
    let (db, proxy) = behind_proxy().await;
    proxy.cut();
    proxy.restore();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_all_answer(&db, 8).await;
}

/// The values of `lock_timeout` and the number of named statements, where a statement finds them.
async fn left_on(reader: &mut ReadConn) -> (String, i64) {
    let sql = "SELECT current_setting($1), (SELECT count(*) FROM pg_prepared_statements)";
    with_conn!(reader.connection(), c => sqlx::query_as(sql).bind("lock_timeout").fetch_one(c).await).expect("reads")
}

/// A pgbouncer in transaction mode hands the server's connection to another client after each transaction.
#[tokio::test]
async fn without_a_statement_cache_nothing_stays_on_a_connection_to_postgres() {
    let server = std::env::var("FOM_TEST_POSTGRES").expect("run the tests with `cargo xtask test`");
    for (statement_cache, statements, lock_timeout) in [(0, 0, "0"), (100, 1, "3s")] {
        let settings = PoolSettings { statement_cache, max_connections: 1, ..PoolSettings::default() };
        let db = Database::postgres(&format!("{server}/postgres"), settings).expect("a URL");
        let mut reader = db.read_conn().await.expect("a connection");
        assert_eq!(left_on(&mut reader).await, ("3s".to_owned(), statements));
        // Ends the transaction that a pooler needs.
        with_conn!(reader.connection(), c => sqlx::raw_sql("ROLLBACK").execute(c).await.map(drop)).expect("runs");
        assert_eq!(left_on(&mut reader).await, (lock_timeout.to_owned(), statements));
        drop(reader);
        db.close().await;
    }
}

#[tokio::test]
async fn a_database_whose_connections_are_all_in_use_is_up() {
    for db in testing::databases().await {
        let mut in_use = Vec::new();
        for _ in 0..db.max_connections() {
            in_use.push(db.read_conn().await.expect("a connection"));
        }
        assert!(timeout(Duration::from_secs(2), db.is_up()).await.expect("in time"));
    }
}

/// As after a failover that left the connections: their server has become a standby, and another takes the writes at the same address.
#[tokio::test]
async fn connections_to_a_server_that_takes_no_writes_are_down_and_replaced() {
    let db = testing::databases().await.into_iter().next_back().expect("PostgreSQL");
    let mut connections = Vec::new();
    for _ in 0..db.max_connections() {
        let mut reader = db.read_conn().await.expect("a connection");
        let sql = "SET default_transaction_read_only = on";
        with_conn!(reader.connection(), c => sqlx::query(sql).execute(c).await.map(drop)).expect("set");
        connections.push(reader);
    }
    drop(connections);
    assert!(!db.is_up().await, "it takes no writes");
    assert!(db.is_up().await, "another connection does");
}

/// Otherwise the kernel's two hours decide, during which the locks of a lost node stay.
#[tokio::test]
async fn the_server_ends_the_connection_of_a_node_that_is_lost() {
    let db = testing::databases().await.into_iter().next_back().expect("PostgreSQL");
    let mut reader = db.read_conn().await.expect("a connection");
    for (setting, expected) in [("tcp_user_timeout", "15000"), ("tcp_keepalives_idle", "30")] {
        let sql = "SELECT current_setting($1)";
        let (set,): (String,) =
            with_conn!(reader.connection(), c => sqlx::query_as(sql).bind(setting).fetch_one(c).await).expect("reads");
        assert_eq!(set, expected, "{setting}");
    }
}
