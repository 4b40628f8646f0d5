//! What tests of this crate and of those above it share.

use faceofmind_base::{Clock, Rng};
use faceofmind_db::Database;
use faceofmind_runtime::Handle;
#[cfg(test)]
pub(crate) use faceofmind_testing::*;

#[cfg(test)]
use crate::redis::RedisServer;
use crate::{
    encryption::Keyring,
    nats::{self, NatsConnection},
    outbox::{self, EventBus, Publisher},
};

/// Returns a keyring whose key is no secret.
pub fn keyring() -> Keyring {
    Keyring::new([("test", [9; 32].as_slice())]).expect("a key")
}

/// Returns a publisher that is not started: events are recorded and stay.
pub fn publisher(db: &Database) -> Handle<Publisher> {
    let settings = outbox::Settings::default();
    let bus = EventBus::new(&settings, db.clone());
    let deps = outbox::Deps { db: db.clone(), bus, nats: None, clock: Clock::system(), rng: Rng::system() };
    Publisher::new(settings, deps).0
}

/// Connects to NATS as the program does.
pub async fn connect_nats(url: String) -> NatsConnection {
    NatsConnection::connect(&nats::Settings::new(url.into())).await.expect("a URL")
}

/// Connects to the Redis server of the test run.
#[cfg(test)]
pub(crate) fn redis() -> RedisServer {
    RedisServer::open(&redis_url()).expect("a URL")
}
