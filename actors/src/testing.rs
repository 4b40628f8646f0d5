//! Databases for unit tests: a new SQLite file each time, and a new PostgreSQL database where `FOM_TEST_POSTGRES` names a server, as
//! `cargo xtask test` does. And accounts on a NATS server, and a wire to it that can be cut.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use faceofmind_kit::{Clock, Database, Rng, db::PoolSettings};

use crate::{
    nats::{self, Nats},
    schema,
};

mod server;
mod wire;
pub(crate) use server::NatsServer;
pub(crate) use wire::Wire;

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

/// Waits until `condition` holds, looking often.
///
/// # Panics
/// When it does not within 10 seconds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let looking = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), looking).await.unwrap_or_else(|_| panic!("never came true: {what}"));
}
