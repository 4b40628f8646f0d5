//! The private servers that `cargo xtask test` starts, and what each story gets of them.

use std::{
    env,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use faceofmind_actors::schema;
use faceofmind_kit::{Database, db::PoolSettings};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::OnceCell;

/// One story's share of the servers.
pub(crate) struct TestServices {
    /// Its PostgreSQL database.
    pub(crate) database: String,
    /// Its Redis database, by number.
    pub(crate) redis: String,
    /// Its NATS account.
    pub(crate) nats: String,
}

/// What the harness finds in the environment.
fn given(name: &str) -> String {
    env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: the production profile needs servers. Run `cargo xtask test`"))
}

impl TestServices {
    /// A database with our tables, an empty Redis database, and a NATS account without streams.
    pub(crate) async fn allocate() -> Self {
        static TAKEN: AtomicUsize = AtomicUsize::new(0);
        let number = TAKEN.fetch_add(1, Ordering::Relaxed);
        Self { database: copy_template(number).await, redis: redis(number).await, nats: nats(number).await }
    }

    /// Gives the database back; the rest is too small to matter.
    pub(crate) async fn drop_database(&self) {
        let name = self.database.rsplit('/').next().expect("a name");
        administer(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
    }
}

/// The sink's host and port.
pub(crate) fn smtp() -> (String, String) {
    let (host, port) =
        given("FOM_TEST_SMTP").rsplit_once(':').map(|(h, p)| (h.to_owned(), p.to_owned())).expect("host:port");
    (host, port)
}

/// The Maildir into which the sink delivers.
pub(crate) fn maildir() -> PathBuf {
    PathBuf::from(given("FOM_TEST_MAIL_DIR")).join("new")
}

/// A server's host and port, for a wire to it.
pub(crate) fn address_of(server: Server) -> String {
    match server {
        Server::Redis => given("FOM_TEST_REDIS").trim_start_matches("redis://").to_owned(),
        Server::Nats => given("FOM_TEST_NATS"),
        Server::Smtp => given("FOM_TEST_SMTP"),
        Server::Postgres => given("FOM_TEST_POSTGRES").rsplit('@').next().expect("host:port").to_owned(),
    }
}

/// Where nats-server is.
pub(crate) fn nats_program() -> String {
    given("FOM_TEST_NATS_SERVER")
}

/// What the service depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Server {
    Postgres,
    Redis,
    Nats,
    Smtp,
}

async fn administer(statement: &str) {
    let url = format!("{}/postgres", given("FOM_TEST_POSTGRES"));
    let mut connection = PgConnection::connect(&url).await.expect("PostgreSQL answers");
    sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.expect("an administrator may");
    connection.close().await.expect("closes");
}

/// Copying a migrated database is ten times faster than migrating one.
async fn copy_template(number: usize) -> String {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    let template = TEMPLATE.get_or_init(make_template).await;
    let name = format!("{template}_{number}");
    administer(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
    format!("{}/{name}", given("FOM_TEST_POSTGRES"))
}

async fn make_template() -> String {
    let name = format!("tests_{}", std::process::id());
    administer(&format!("DROP DATABASE IF EXISTS {name}")).await;
    administer(&format!("CREATE DATABASE {name}")).await;
    let url = format!("{}/{name}", given("FOM_TEST_POSTGRES"));
    let database = Database::postgres(&url, PoolSettings::default()).expect("a URL");
    schema::migrate(&database).await.expect("migrates");
    database.close().await;
    name
}

async fn redis(number: usize) -> String {
    let url = format!("{}/{number}", given("FOM_TEST_REDIS"));
    let client = redis::Client::open(url.as_str()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis answers");
    let () = redis::cmd("FLUSHDB").query_async(&mut connection).await.expect("empty");
    url
}

async fn nats(number: usize) -> String {
    let accounts: usize = given("FOM_TEST_NATS_ACCOUNTS").parse().expect("a number");
    assert!(number < accounts, "there are more stories than NATS accounts ({accounts}): raise ACCOUNTS in xtask");
    let url = format!("nats://t{number}:t@{}", given("FOM_TEST_NATS"));
    // Left by an earlier run, where the servers outlive one.
    drop(jetstream(&url).await.delete_stream(super::events::STREAM).await);
    url
}

/// JetStream of the account in this URL, `nats://[user:password@]host:port`.
pub(crate) async fn jetstream(url: &str) -> async_nats::jetstream::Context {
    let (login, server) = url.trim_start_matches("nats://").rsplit_once('@').unwrap_or(("", url));
    let (user, password) = login.split_once(':').unwrap_or_default();
    let options = async_nats::ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
    async_nats::jetstream::new(options.connect(server).await.expect("NATS answers"))
}
