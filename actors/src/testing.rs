//! Databases for unit tests: a new SQLite file each time, and a new PostgreSQL database where `FOM_TEST_POSTGRES` names a server, as
//! `cargo xtask test` does; Redis, where `FOM_TEST_REDIS` names one; and accounts on a NATS server, and
//! a wire to it that can be cut.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use faceofmind_kit::{
    Child, Clock, Database, Rng, Supervisor, SupervisorHandle,
    db::PoolSettings,
    on,
    supervisor::{Family, Policy},
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    nats::{self, Nats},
    publisher::{self, Publisher},
    redis_server::RedisServer,
    schema,
    user_registry::UserId,
};

mod house;
mod mail_server;
mod server;
mod wire;
pub(crate) use house::{PASSWORD, Received, World, bounds, client, email, keyring, new_folder, secret, worlds};
pub(crate) use mail_server::MailServer;
pub(crate) use server::NatsServer;
pub(crate) use wire::Wire;

/// As many databases as a Redis has unless told otherwise.
const REDIS_DATABASES: u32 = 16;
static REDIS_TAKEN: AtomicU32 = AtomicU32::new(0);

/// The Redis of the test run, in the next of its databases. Tests share them and stay apart by their own random keys.
pub(crate) fn redis() -> Option<RedisServer> {
    let server = std::env::var("FOM_TEST_REDIS").ok()?;
    let database = REDIS_TAKEN.fetch_add(1, Ordering::Relaxed) % REDIS_DATABASES;
    Some(RedisServer::open(&format!("{server}/{database}")).expect("a URL"))
}

/// Lets `port` lead to the Redis of the test run, which so is up when the test wants it to be. Aborted, it breaks the connections.
pub(crate) async fn relay_to_redis(port: SocketAddr) {
    let redis = std::env::var("FOM_TEST_REDIS").expect("asked for by the test");
    let door = TcpListener::bind(port).await.expect("the port is free");
    let mut open = JoinSet::new();
    while let Ok((mut client, _)) = door.accept().await {
        let mut server = TcpStream::connect(redis.trim_start_matches("redis://")).await.expect("Redis answers");
        open.spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
    }
}

/// A tree of these children. Stop it when the story is told.
pub(crate) async fn supervise(children: Vec<Child>, clock: &Clock) -> SupervisorHandle {
    let family = Family { children, policy: Policy::default(), clock: clock.clone(), rng: Rng::system() };
    Supervisor::start(family).await.expect("the children start")
}

/// Waits until `so` holds, 10 s at most.
pub(crate) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap_or_else(|_| panic!("not within 10 s: {what}"));
}

/// One of each kind, without tables.
pub(crate) async fn empty_databases() -> Vec<Database> {
    let settings = PoolSettings { max_connections: 4, ..PoolSettings::default() };
    let name = format!("unit_{}", Rng::system().uuid_v7(Clock::system().now()).simple());
    let folder = std::env::temp_dir().join(&name);
    std::fs::create_dir(&folder).expect("a temporary folder");
    let mut databases = vec![Database::sqlite(&folder.join("test.db"), settings)];
    if let Ok(server) = std::env::var("FOM_TEST_POSTGRES") {
        let admin = sqlx::PgPool::connect(&format!("{server}/postgres")).await.expect("the test server answers");
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(create).execute(&admin).await.expect("a database for this test");
        databases.push(Database::postgres(&format!("{server}/{name}"), settings).expect("a URL"));
    }
    databases
}

/// One of each kind, with our tables.
pub(crate) async fn databases() -> Vec<Database> {
    let databases = empty_databases().await;
    for db in &databases {
        schema::migrate(db).await.expect("migrates");
    }
    databases
}

/// A user to whom rows can belong.
pub(crate) async fn user(db: &Database, email: &str) -> UserId {
    let sql = "INSERT INTO users (email, first_name, last_name, status, created_at) \
               VALUES ($1, 'Ada', 'Lovelace', 'active', $2) RETURNING id";
    let mut tx = db.begin().await.expect("begins");
    let (id,): (UserId,) = on!(tx.connection(), c =>
        sqlx::query_as(sql).bind(email).bind(Clock::system().now()).fetch_one(c).await)
    .expect("a user");
    tx.commit().await.expect("commits");
    id
}

/// A publisher that nobody has started: events are recorded, and stay.
pub(crate) fn publisher(db: &Database) -> Publisher {
    Publisher::new(publisher::Settings::default(), db.clone(), None, Clock::system(), Rng::system()).0
}

/// An account of its own on the NATS server that `FOM_TEST_NATS` (`host:port`) names, as `cargo xtask test` does; `None` without one.
/// Unit tests have the accounts from `t400` on.
pub(crate) async fn nats_account() -> Option<NatsAccount> {
    static NEXT: AtomicU32 = AtomicU32::new(400);
    let server = std::env::var("FOM_TEST_NATS").ok()?;
    let account = NatsAccount { user: format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed)), server };
    let jetstream = account.jetstream().await;
    drop(jetstream.delete_stream(crate::publisher::STREAM).await);
    Some(account)
}

pub(crate) struct NatsAccount {
    user: String,
    pub(crate) server: String,
}

impl NatsAccount {
    /// The URL at which this account is let in, on `server` or what stands before it.
    pub(crate) fn url(&self, server: &str) -> String {
        format!("nats://{}:t@{server}", self.user)
    }

    /// A connection as the program makes it.
    pub(crate) async fn connect(&self, server: &str) -> Nats {
        Nats::connect(&nats::Settings::new(self.url(server).into())).await.expect("a URL")
    }

    /// A client for looking at what arrived.
    pub(crate) async fn jetstream(&self) -> async_nats::jetstream::Context {
        let options = async_nats::ConnectOptions::with_user_and_password(self.user.clone(), "t".into());
        async_nats::jetstream::new(options.connect(&self.server).await.expect("the test server answers"))
    }
}
