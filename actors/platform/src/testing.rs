//! What tests of this crate and of those above it share.

use std::{path::Path, time::Duration};

use faceofmind_base::{Clock, Rng};
use faceofmind_db::Database;
#[cfg(test)]
pub(crate) use faceofmind_testing::*;
use jiff::tz::TimeZone;

#[cfg(test)]
use crate::redis::RedisServer;
use crate::{
    Platform, Resources, Settings,
    encryption::Keyring,
    mail::{Renderer, Transport},
    nats::{self, NatsConnection},
    otp, outbox, password_hasher,
};

/// Returns a keyring whose key is no secret.
pub fn keyring() -> Keyring {
    Keyring::new([("test", [9; 32].as_slice())]).expect("a key")
}

/// Settings as in production, except that a hash costs next to nothing.
pub fn settings() -> Settings {
    let cost = password_hasher::Cost { memory_kib: 64, iterations: 1, parallelism: 1 };
    Settings {
        hasher: password_hasher::Settings { cost, workers: 2, queue: 256, deadline: Duration::from_secs(20) },
        otp: otp::Settings::default(),
        publisher: outbox::Settings::default(),
    }
}

/// Resources on this database without other servers. Mails are written into that folder.
pub fn resources(db: &Database, mails: &Path, clock: &Clock) -> Resources {
    Resources {
        db: db.clone(),
        redis: None,
        nats: None,
        transport: Transport::files(mails),
        renderer: Renderer::new(Renderer::DEFAULT_SENDER, "FaceofMind").expect("the templates are well formed"),
        code_key: vec![7; 32],
        keyring: keyring(),
        time_zone: TimeZone::UTC,
        clock: clock.clone(),
        rng: Rng::system(),
    }
}

/// Returns a platform whose actors are not started: events and mails are recorded and stay.
pub fn platform(db: &Database, clock: &Clock) -> Platform {
    Platform::new(settings(), resources(db, Path::new("unused"), clock)).expect("Argon2 allows the cost").0
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
