//! What the tests of several crates share.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
};

use faceofmind_base::{Clock, Rng};
use faceofmind_db::{Connection, Database, PoolSettings, migrations, with_conn};
use faceofmind_model::UserId;
use faceofmind_runtime::{ChildSpec, RestartPolicy, Supervisor, SupervisorHandle, SupervisorSpec};
use sqlx::AssertSqlSafe;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

mod basics;
mod legacy;
mod nats_server;
mod pages;
mod postgres;
mod tcp_proxy;
use basics::NO_SERVER;
pub use basics::{at, new_folder, on_day, set, until};
pub use legacy::LAYOUTS;
pub use nats_server::NatsServer;
pub use pages::{fill, pages_touched};
pub use postgres::{empty_postgres, migrated_postgres};
pub use tcp_proxy::TcpProxy;

/// Returns a new database of each kind, without tables.
///
/// # Panics
/// As [`empty_postgres`].
pub async fn empty_databases() -> Vec<Database> {
    vec![sqlite(), postgres_at(&empty_postgres().await)]
}

/// Returns a new database of each kind, with all tables.
///
/// # Panics
/// As [`empty_postgres`].
pub async fn databases() -> Vec<Database> {
    let sqlite = sqlite();
    migrations::migrate(&sqlite).await.expect("migrates");
    vec![sqlite, postgres_at(&migrated_postgres().await)]
}

/// Returns a new database of that layout with the predecessor's rows. `more` is SQL that runs last.
///
/// # Panics
/// As [`empty_postgres`], and for an unknown layout.
pub async fn legacy_postgres(layout: &str, more: &str) -> Database {
    let db = postgres_at(&empty_postgres().await);
    load_legacy(&db, layout, more).await;
    db
}

/// Loads that layout with the predecessor's rows into a database without tables. `more` is SQL that runs last.
///
/// # Panics
/// On SQLite, for an unknown layout, and where a statement fails.
pub async fn load_legacy(db: &Database, layout: &str, more: &str) {
    let mut tx = db.begin().await.expect("begins");
    for sql in [&legacy::with_rows(layout), more] {
        let Connection::Postgres(c, _) = tx.connection() else { panic!("PostgreSQL") };
        // A deferred constraint would refuse later changes of its table.
        let sql = AssertSqlSafe(format!("SET CONSTRAINTS ALL IMMEDIATE; {sql}"));
        sqlx::raw_sql(sql).execute(c).await.unwrap_or_else(|error| panic!("{layout}: {error}"));
    }
    tx.commit().await.expect("commits");
}

fn sqlite() -> Database {
    let folder = new_folder();
    std::fs::create_dir(&folder).expect("a temporary folder");
    Database::sqlite(&folder.join("test.db"), pool())
}

fn postgres_at(url: &str) -> Database {
    Database::postgres(url, pool()).expect("a URL")
}

fn pool() -> PoolSettings {
    PoolSettings { max_connections: 4, ..PoolSettings::default() }
}

/// Inserts an active user to whom rows can belong.
///
/// # Panics
/// Panics when the address is taken.
pub async fn user(db: &Database, email: &str) -> UserId {
    let sql = "INSERT INTO users (email, first_name, last_name, status, created_at) \
               VALUES ($1, 'Ada', 'Lovelace', 'active', $2) RETURNING id";
    let mut tx = db.begin().await.expect("begins");
    let (id,): (UserId,) = with_conn!(tx.connection(), c =>
        sqlx::query_as(sql).bind(email).bind(Clock::system().now()).fetch_one(c).await)
    .expect("a user");
    tx.commit().await.expect("commits");
    id
}

/// Runs a statement in a transaction of its own.
///
/// # Panics
/// Panics when it fails.
pub async fn run(db: &Database, sql: &str) {
    let mut tx = db.begin().await.expect("begins");
    let statement = AssertSqlSafe(sql.to_owned());
    with_conn!(tx.connection(), c => sqlx::query(statement).execute(c).await.map(drop))
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    tx.commit().await.expect("commits");
}

/// Starts a tree of these children. The test stops it at its end.
///
/// # Panics
/// Panics when a child does not start.
pub async fn supervise(children: Vec<ChildSpec>, clock: &Clock) -> SupervisorHandle {
    let spec = SupervisorSpec { children, policy: RestartPolicy::default(), clock: clock.clone(), rng: Rng::system() };
    Supervisor::start(spec).await.expect("the children start")
}

/// The number of databases of a Redis server by default.
const REDIS_DATABASES: u32 = 16;

/// Returns the URL of the next database of the Redis server. Tests share the databases and stay apart by their random keys.
///
/// # Panics
/// Panics when `FOM_TEST_REDIS` names no server, which `cargo xtask test` starts.
pub fn redis_url() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = std::env::var("FOM_TEST_REDIS").expect(NO_SERVER);
    format!("{server}/{}", NEXT.fetch_add(1, Ordering::Relaxed) % REDIS_DATABASES)
}

/// Forwards `address` to the Redis server, so that a test decides when Redis is up. Aborting the task breaks the connections.
///
/// # Panics
/// Panics when the port is taken or Redis does not answer.
pub async fn forward_to_redis(address: SocketAddr) {
    let redis = std::env::var("FOM_TEST_REDIS").expect(NO_SERVER);
    let listener = TcpListener::bind(address).await.expect("the port is free");
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        let mut server = TcpStream::connect(redis.trim_start_matches("redis://")).await.expect("Redis answers");
        connections.spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
    }
}

/// An account of its own on the NATS server of the test run, so that tests do not see each other's streams.
#[derive(Clone, Debug)]
pub struct NatsAccount {
    user: String,
    /// `host:port` of the server.
    pub server: String,
}

/// Returns the next account, without a stream. Inner tests have the accounts from `t400` on.
///
/// # Panics
/// Panics when `FOM_TEST_NATS` names no server, which `cargo xtask test` starts.
pub async fn nats_account() -> NatsAccount {
    static NEXT: AtomicU32 = AtomicU32::new(400);
    let server = std::env::var("FOM_TEST_NATS").expect(NO_SERVER);
    let account = NatsAccount { user: format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed)), server };
    drop(account.jetstream().await.delete_stream("FACEOFMIND").await);
    account
}

impl NatsAccount {
    /// Returns the account's URL on `server`, or on a proxy before it.
    pub fn url(&self, server: &str) -> String {
        format!("nats://{}:t@{server}", self.user)
    }

    /// Connects a client that shows what arrived in JetStream.
    ///
    /// # Panics
    /// Panics when the server does not answer.
    pub async fn jetstream(&self) -> async_nats::jetstream::Context {
        let options = async_nats::ConnectOptions::with_user_and_password(self.user.clone(), "t".into());
        async_nats::jetstream::new(options.connect(&self.server).await.expect("the test server answers"))
    }
}
