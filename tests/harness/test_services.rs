//! The private servers that `cargo xtask test` starts, and what each test gets of them.

use std::{
    env,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

/// What one test gets of the servers, as URLs.
pub(crate) struct TestServices {
    /// A PostgreSQL database.
    pub(crate) database: String,
    /// A Redis database, by its number.
    pub(crate) redis: String,
    /// A NATS account.
    pub(crate) nats: String,
}

/// Reads a variable that `cargo xtask test` sets. A missing one fails the test.
fn variable(name: &str) -> String {
    env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: the production profile needs servers. Run `cargo xtask test`"))
}

impl TestServices {
    /// Allocates a migrated database, an empty Redis database, and a NATS account without streams.
    pub(crate) async fn allocate() -> Self {
        static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
        let number = ALLOCATED.fetch_add(1, Ordering::Relaxed);
        Self {
            database: faceofmind_testing::migrated_postgres().await,
            redis: redis(number).await,
            nats: nats(number).await,
        }
    }
}

/// The SMTP sink's host and port.
pub(crate) fn smtp() -> (String, String) {
    let (host, port) =
        variable("FOM_TEST_SMTP").rsplit_once(':').map(|(h, p)| (h.to_owned(), p.to_owned())).expect("host:port");
    (host, port)
}

/// The folder into which the SMTP sink delivers.
pub(crate) fn maildir() -> PathBuf {
    PathBuf::from(variable("FOM_TEST_MAIL_DIR")).join("new")
}

/// A server's `host:port`.
pub(crate) fn host_and_port(server: Server) -> String {
    match server {
        Server::Redis => variable("FOM_TEST_REDIS").trim_start_matches("redis://").to_owned(),
        Server::Nats => variable("FOM_TEST_NATS"),
        Server::Smtp => variable("FOM_TEST_SMTP"),
        Server::Postgres => variable("FOM_TEST_POSTGRES").rsplit('@').next().expect("host:port").to_owned(),
    }
}

/// The path of nats-server.
pub(crate) fn nats_program() -> String {
    variable("FOM_TEST_NATS_SERVER")
}

/// The servers that the service depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Server {
    Postgres,
    Redis,
    Nats,
    Smtp,
}

async fn redis(number: usize) -> String {
    let url = format!("{}/{number}", variable("FOM_TEST_REDIS"));
    let client = redis::Client::open(url.as_str()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis answers");
    let () = redis::cmd("FLUSHDB").query_async(&mut connection).await.expect("empty");
    url
}

async fn nats(number: usize) -> String {
    let accounts: usize = variable("FOM_TEST_NATS_ACCOUNTS").parse().expect("a number");
    assert!(number < accounts, "there are more tests than NATS accounts ({accounts}): raise ACCOUNTS in xtask");
    let url = format!("nats://t{number}:t@{}", variable("FOM_TEST_NATS"));
    // The servers may have outlived an earlier run.
    drop(jetstream(&url).await.delete_stream(super::event_consumer::STREAM).await);
    url
}

/// JetStream of the account in this URL, `nats://[user:password@]host:port`.
pub(crate) async fn jetstream(url: &str) -> async_nats::jetstream::Context {
    let (login, server) = url.trim_start_matches("nats://").rsplit_once('@').unwrap_or(("", url));
    let (user, password) = login.split_once(':').unwrap_or_default();
    let options = async_nats::ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
    async_nats::jetstream::new(options.connect(server).await.expect("NATS answers"))
}
