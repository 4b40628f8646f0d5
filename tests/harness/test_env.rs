//! The environment of a service: databases, brokers, mail, clock. Several nodes, or one node before and after a restart,
//! share it.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use faceofmind::settings::{ConfigSources, Settings};
use faceofmind_base::Clock;
use faceofmind_db::{Database, database::PoolSettings};
use tempfile::TempDir;

use super::{
    logs,
    mail::Inbox,
    tcp_proxy::TcpProxy,
    test_services::{self, Server, TestServices},
};

/// The parts that the service runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// SQLite, files and the in-process bus.
    Embedded,
    /// PostgreSQL, Redis, NATS and SMTP.
    Production,
}

/// Signs the access tokens in every test, so that a test can forge one.
pub(crate) const ACCESS_SECRET: &str = "a secret of the tests, for access tokens only";
const REFRESH_SECRET: &str = "a secret of the tests, for refresh tokens only";
const DATA_KEY: &str = "test:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// Everything that outlives one start of the service within a test.
pub(crate) struct TestEnv {
    pub(crate) profile: Profile,
    /// The service's clock. A test can advance it.
    pub(crate) clock: Clock,
    data_dir: TempDir,
    pub(crate) inbox: Inbox,
    /// Whether the test provokes responses of 500 and above, and restarts of actors.
    pub(crate) failures_allowed: AtomicBool,
    pub(crate) restarts_allowed: AtomicBool,
    services: Option<TestServices>,
    settings: Vec<(String, String)>,
    clients: AtomicU32,
    /// Texts that the log must not contain.
    secrets: Mutex<Vec<String>>,
}

impl TestEnv {
    pub(crate) async fn create(profile: Profile, settings: &[(&str, &str)]) -> Arc<Self> {
        let data_dir = tempfile::tempdir().expect("a temporary folder");
        let services = match profile {
            Profile::Embedded => None,
            Profile::Production => Some(TestServices::allocate().await),
        };
        let inbox = match profile {
            Profile::Embedded => Inbox::folder(data_dir.path().join("mail")),
            Profile::Production => Inbox::maildir(test_services::maildir()),
        };
        let mut own = common(&data_dir);
        own.extend(services.iter().flat_map(on_servers));
        own.extend(owned(settings));
        Arc::new(Self {
            profile,
            clock: Clock::system(),
            data_dir,
            inbox,
            failures_allowed: AtomicBool::new(false),
            restarts_allowed: AtomicBool::new(false),
            services,
            settings: own,
            clients: AtomicU32::new(0),
            secrets: Mutex::default(),
        })
    }

    /// The environment variables of a service, with the changes of one node over them.
    pub(crate) fn environment(&self, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut environment = self.settings.clone();
        environment.extend(owned(changes));
        // The last value of a name wins.
        environment.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect()
    }

    pub(crate) fn settings(&self, changes: &[(&str, &str)]) -> Settings {
        let layers = ConfigSources::built_in().with_environment(self.environment(changes));
        Settings::load(&layers).unwrap_or_else(|errors| panic!("the test's settings: {errors:#?}"))
    }

    /// Opens the database beside the service.
    pub(crate) fn database(&self) -> Database {
        let pool = PoolSettings { max_connections: 1, ..PoolSettings::default() };
        match &self.services {
            Some(services) => Database::postgres(&services.database, pool).expect("a URL"),
            None => Database::sqlite(&self.data_dir.path().join("faceofmind.db"), pool),
        }
    }

    /// Starts a proxy to one of the servers. Gives it with the setting by which a node uses it.
    pub(crate) async fn proxy_to(&self, server: Server) -> (TcpProxy, (&'static str, String)) {
        let proxy = TcpProxy::to(&test_services::host_and_port(server)).await;
        let setting = self.setting_of(server, &proxy);
        (proxy, setting)
    }

    /// A server's `host:port`.
    pub(crate) fn address_of(server: Server) -> String {
        test_services::host_and_port(server)
    }

    /// The setting by which a node uses a server through a proxy.
    pub(crate) fn setting_of(&self, server: Server, proxy: &TcpProxy) -> (&'static str, String) {
        let services = self.services.as_ref().expect("the embedded profile has no servers");
        match server {
            Server::Postgres => ("DATABASE_URL", proxy.rewrite_url(&services.database)),
            Server::Redis => ("REDIS_URL", proxy.rewrite_url(&services.redis)),
            Server::Nats => ("NATS_URL", proxy.rewrite_url(&services.nats)),
            Server::Smtp => ("SMTP_PORT", proxy.port().to_string()),
        }
    }

    /// The URL of the Redis database; `None` in the embedded profile.
    pub(crate) fn redis(&self) -> Option<&str> {
        self.services.as_ref().map(|services| services.redis.as_str())
    }

    /// The URL of the NATS account; `None` in the embedded profile.
    pub(crate) fn nats(&self) -> Option<&str> {
        self.services.as_ref().map(|services| services.nats.as_str())
    }

    /// An IP address that no other client of this test has, from a test network (RFC 2544). Rate limits count by it.
    pub(crate) fn unused_client_ip(&self) -> String {
        let number = self.clients.fetch_add(1, Ordering::Relaxed);
        format!("198.18.{}.{}", number / 250, number % 250 + 1)
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.data_dir.path().to_owned()
    }

    /// Asserts at the end of the test that the log does not contain this text.
    pub(crate) fn forbid_in_log(&self, secret: &str) {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).push(secret.to_owned());
    }

    pub(crate) fn assert_no_secret_in_log(&self) {
        for secret in self.secrets.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let line = logs::line_with(secret);
            assert!(line.is_none(), "the log contains a secret: {line:?}");
        }
    }
}

fn owned(settings: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
}

/// Cheap hashes, free ports, and a trusted proxy: the test itself, which sets `X-Forwarded-For`.
fn common(data_dir: &TempDir) -> Vec<(String, String)> {
    let settings = [
        ("FACEOFMIND_ENV", "development"),
        ("PORT", "0"),
        ("OPERATOR_ADDR", "127.0.0.1:0"),
        ("DATA_DIR", data_dir.path().to_str().expect("a path in UTF-8")),
        ("TRUSTED_PROXIES", "127.0.0.1"),
        ("DATABASE_MAX_CONNECTIONS", "8"),
        ("SHUTDOWN_TIMEOUT_SECONDS", "2"),
        ("ARGON2_MEMORY_KIB", "64"),
        ("ARGON2_ITERATIONS", "1"),
        ("JWT_SECRET_TOKEN", ACCESS_SECRET),
        ("JWT_REFRESH_TOKEN", REFRESH_SECRET),
        ("DATA_KEY", DATA_KEY),
    ];
    owned(&settings).collect()
}

fn on_servers(services: &TestServices) -> Vec<(String, String)> {
    let (host, port) = test_services::smtp();
    let settings = [
        ("DATABASE_URL", services.database.as_str()),
        ("REDIS_URL", &services.redis),
        ("NATS_URL", &services.nats),
        ("SMTP_HOST", &host),
        ("SMTP_PORT", &port),
        ("SMTP_TLS", "none"),
        ("SMTP_EMAIL", "hello@faceofmind.test"),
    ];
    owned(&settings).collect()
}
