//! What a service stands on. Two nodes, or one before and after a restart, may stand on the same ground.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use faceofmind::settings::{ConfigSources, Settings};
use faceofmind_kit::{Clock, Database, db::PoolSettings};
use tempfile::TempDir;

use super::{
    logs,
    mail::Inbox,
    relay::Relay,
    servers::{self, Server, Share},
};

/// Which parts the service runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// SQLite, files and the in-process bus.
    Embedded,
    /// PostgreSQL, Redis, NATS and SMTP.
    Production,
}

/// Signs the access tokens of every story, so that a story can forge one.
pub(crate) const ACCESS_SECRET: &str = "a secret of the stories, for access tokens only";
const REFRESH_SECRET: &str = "a secret of the stories, for refresh tokens only";
const DATA_KEY: &str = "story:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// All that outlives one start of the service within a story.
pub(crate) struct Ground {
    pub(crate) profile: Profile,
    /// The service's time and the story's.
    pub(crate) clock: Clock,
    /// Where the service keeps its files.
    pub(crate) data_dir: TempDir,
    pub(crate) inbox: Inbox,
    /// What the story says it will provoke, and so is no defect.
    pub(crate) failures_expected: AtomicBool,
    pub(crate) restarts_expected: AtomicBool,
    share: Option<Share>,
    settings: Vec<(String, String)>,
    clients: AtomicU32,
    /// What nobody may find in the log.
    secrets: Mutex<Vec<String>>,
    /// Where events are not as documented.
    faults: Mutex<Vec<String>>,
}

impl Ground {
    pub(crate) async fn lay(profile: Profile, settings: &[(&str, &str)]) -> Arc<Self> {
        let data_dir = tempfile::tempdir().expect("a temporary folder");
        let share = match profile {
            Profile::Embedded => None,
            Profile::Production => Some(Share::take().await),
        };
        let inbox = match profile {
            Profile::Embedded => Inbox::folder(data_dir.path().join("mail")),
            Profile::Production => Inbox::maildir(servers::maildir()),
        };
        let mut own = common(&data_dir);
        own.extend(share.iter().flat_map(on_servers));
        own.extend(owned(settings));
        Arc::new(Self {
            profile,
            clock: Clock::system(),
            data_dir,
            inbox,
            failures_expected: AtomicBool::new(false),
            restarts_expected: AtomicBool::new(false),
            share,
            settings: own,
            clients: AtomicU32::new(0),
            secrets: Mutex::default(),
            faults: Mutex::default(),
        })
    }

    /// The environment of a service on this ground, with the changes of one node over it.
    pub(crate) fn environment(&self, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut environment = self.settings.clone();
        environment.extend(owned(changes));
        // The last word on a name counts.
        let mut named = std::collections::BTreeMap::new();
        named.extend(environment);
        named.into_iter().collect()
    }

    pub(crate) fn settings(&self, changes: &[(&str, &str)]) -> Settings {
        let layers = ConfigSources::built_in().with_environment(self.environment(changes));
        Settings::load(&layers).unwrap_or_else(|errors| panic!("the story's settings: {errors:#?}"))
    }

    /// A connection beside the service, for looking at what it keeps.
    pub(crate) fn database(&self) -> Database {
        let few = PoolSettings { max_connections: 1, ..PoolSettings::default() };
        match &self.share {
            Some(share) => Database::postgres(&share.database, few).expect("a URL"),
            None => Database::sqlite(&self.data_dir.path().join("faceofmind.db"), few),
        }
    }

    /// A wire to one of the servers, and the settings by which a node uses it.
    pub(crate) async fn relay(&self, server: Server) -> (Relay, (&'static str, String)) {
        let share = self.share.as_ref().expect("servers are of the production profile");
        let relay = Relay::to(&servers::address_of(server)).await;
        let setting = match server {
            Server::Postgres => ("DATABASE_URL", relay.within(&share.database)),
            Server::Redis => ("REDIS_URL", relay.within(&share.redis)),
            Server::Nats => ("NATS_URL", relay.within(&share.nats)),
            Server::Smtp => ("SMTP_PORT", relay.port().to_string()),
        };
        (relay, setting)
    }

    /// The URL of the Redis database, where there is one.
    pub(crate) fn redis(&self) -> Option<&str> {
        self.share.as_ref().map(|share| share.redis.as_str())
    }

    /// The URL of the NATS account, where there is one.
    pub(crate) fn nats(&self) -> Option<&str> {
        self.share.as_ref().map(|share| share.nats.as_str())
    }

    /// An address that no other client of this story has: of a test network (RFC 2544), as limits count by address.
    pub(crate) fn client_address(&self) -> String {
        let number = self.clients.fetch_add(1, Ordering::Relaxed);
        format!("198.18.{}.{}", number / 250, number % 250 + 1)
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.data_dir.path().to_owned()
    }

    /// From now on the log must not hold this.
    pub(crate) fn keep_secret(&self, secret: &str) {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).push(secret.to_owned());
    }

    pub(crate) fn expect_no_secret_in_the_log(&self) {
        for secret in self.secrets.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let line = logs::line_with(secret);
            assert!(line.is_none(), "the log tells a secret: {line:?}");
        }
    }

    /// Notes where an event is not as documented.
    pub(crate) fn note_faults(&self, faults: Vec<String>) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).extend(faults);
    }

    pub(crate) fn expect_no_faults(&self) {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(faults.is_empty(), "events that are not as docs/asyncapi.yaml says: {faults:#?}");
    }

    pub(crate) async fn clear(&self) {
        if let Some(share) = &self.share {
            share.give_back().await;
        }
    }
}

fn owned(settings: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
}

/// Cheap hashes, free ports, and a proxy (the test) whose word on client addresses counts.
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

fn on_servers(share: &Share) -> Vec<(String, String)> {
    let (host, port) = servers::smtp();
    let settings = [
        ("DATABASE_URL", share.database.as_str()),
        ("REDIS_URL", &share.redis),
        ("NATS_URL", &share.nats),
        ("SMTP_HOST", &host),
        ("SMTP_PORT", &port),
        ("SMTP_TLS", "none"),
        ("SMTP_EMAIL", "hello@faceofmind.test"),
    ];
    owned(&settings).collect()
}
