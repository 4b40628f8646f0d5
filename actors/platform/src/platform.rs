//! The actors of this crate, wired once, and what the modules need beside them.

use std::sync::Arc;

use faceofmind_base::{Clock, Rng};
use faceofmind_db::Database;
use faceofmind_runtime::{ChildSpec, FairGate, Handle};
use jiff::tz::TimeZone;
use prometheus_client::metrics::histogram::Histogram;

use crate::{
    auth_cache::{AuthCache, InvalidationSource},
    encryption::Keyring,
    mail::{self, MailComposer, Mailer, Renderer, Transport},
    nats::NatsConnection,
    otp::{self, CodeStore, OtpIssuer, OtpService},
    outbox::{self, EventBus, Publisher},
    password_hasher::{self, PasswordHasher},
    rate_limit::{self, Counters, RateLimiter},
    redis::RedisServer,
};

/// What the actors need: each part chosen and connected, no actor started.
pub struct Resources {
    pub db: Database,
    /// One-time codes and rate limits. Without it they are in the database.
    pub redis: Option<RedisServer>,
    /// Events for other services, and cache invalidations between nodes.
    pub nats: Option<NatsConnection>,
    pub transport: Transport,
    /// How mails look.
    pub renderer: Renderer,
    /// The key of the hashes of codes and of rate limit subjects: 32 bytes or more.
    pub code_key: Vec<u8>,
    /// Encrypts voice texts and stored responses.
    pub keyring: Keyring,
    /// The time zone of users without one.
    pub time_zone: TimeZone,
    pub clock: Clock,
    pub rng: Rng,
}

/// The limits of the actors.
pub struct Settings {
    pub hasher: password_hasher::Settings,
    pub otp: otp::Settings,
    pub publisher: outbox::Settings,
}

/// Connections of the pool that long reads leave free.
const RESERVED_CONNECTIONS: usize = 2;
/// The most long reads of one user at a time. With more, one client would take the processors of the database from all others, also from those that
/// wait for no connection.
const MAX_READS_OF_USER: usize = 1;
/// The most long reads that wait.
const MAX_WAITING_READS: usize = 1024;

/// What every module stands on. Clones are cheap.
#[derive(Clone)]
pub struct Platform {
    pub db: Database,
    /// Lets reads pass whose size grows with a person's history, by turns between users. It leaves connections to all other work.
    pub reads: FairGate,
    /// Woken after every commit that recorded events.
    pub publisher: Handle<Publisher>,
    /// The published events.
    pub events: EventBus,
    pub hasher: Handle<PasswordHasher>,
    /// The time that a worker takes for one password hash, in seconds.
    pub hash_time: Histogram,
    pub limiter: Handle<RateLimiter>,
    pub otp: Handle<OtpIssuer>,
    /// The store of one-time codes.
    pub codes: CodeStore,
    /// Woken after every commit that queued mail.
    pub mailer: Handle<Mailer>,
    pub transport: Arc<Transport>,
    renderer: Arc<Renderer>,
    pub auth_cache: AuthCache,
    /// Encrypts voice texts and stored responses.
    pub keyring: Keyring,
    /// The time zone of users without one.
    pub time_zone: TimeZone,
    pub clock: Clock,
    pub rng: Rng,
}

impl Platform {
    /// Returns the handles, and the actors to supervise but the mailer, in the order of their start. Fails when Argon2 does not allow the cost.
    pub fn new(settings: Settings, resources: Resources) -> Result<(Self, Vec<ChildSpec>), String> {
        let Resources { db, redis, nats, transport, renderer, code_key, keyring, time_zone, clock, rng } = resources;
        let auth_cache = AuthCache::new(invalidation_source(&db, nats.as_ref()));
        let events = EventBus::new(&settings.publisher, db.clone());
        let deps = outbox::Deps { db: db.clone(), bus: events.clone(), nats, clock: clock.clone(), rng: rng.clone() };
        let (publisher, publishing) = Publisher::new(settings.publisher, deps);
        let hash_time = Histogram::new(password_hasher::TIME_BUCKETS);
        let deps = password_hasher::Deps { rng: rng.clone(), hash_time: hash_time.clone() };
        let (hasher, hashing) = PasswordHasher::new(settings.hasher, deps)?;
        let counters = redis.clone().map_or_else(|| Counters::Sql(db.clone()), Counters::Redis);
        let deps = rate_limit::Deps { counters, key: code_key.clone(), clock: clock.clone(), rng: rng.clone() };
        let (limiter, limiting) = RateLimiter::new(rate_limit::Settings::default(), deps);
        let codes = redis.map_or_else(|| CodeStore::Sql(db.clone()), CodeStore::Redis);
        let deps = otp::Deps {
            codes: codes.clone(),
            key: code_key,
            limiter: limiter.clone(),
            clock: clock.clone(),
            rng: rng.clone(),
        };
        let (otp, issuing) = OtpService::actor(settings.otp, deps);
        let (mailer, transport, renderer) = (Mailer::handle(), Arc::new(transport), Arc::new(renderer));
        let places = db.max_connections().saturating_sub(RESERVED_CONNECTIONS).max(1);
        let platform = Self {
            reads: FairGate::with_share("reads", places, MAX_READS_OF_USER, MAX_WAITING_READS),
            db,
            publisher,
            events,
            hasher,
            hash_time,
            limiter,
            otp,
            codes,
            mailer,
            transport,
            renderer,
            auth_cache,
            keyring,
            time_zone,
            clock,
            rng,
        };
        Ok((platform, vec![publishing, hashing, limiting, issuing]))
    }

    /// Returns the mailer to supervise. What its mails say is decided above this crate.
    pub fn mailer(&self, composer: Arc<dyn MailComposer>) -> ChildSpec {
        let deps = mail::Deps {
            db: self.db.clone(),
            transport: Arc::clone(&self.transport),
            composer,
            renderer: Arc::clone(&self.renderer),
            clock: self.clock.clone(),
            rng: self.rng.clone(),
        };
        Mailer::child(&self.mailer, deps)
    }
}

/// A SQLite file is locked by the one process that serves it. Nodes that share a PostgreSQL server can reach one another over NATS alone.
fn invalidation_source(db: &Database, nats: Option<&NatsConnection>) -> InvalidationSource {
    match (db, nats) {
        (Database::Sqlite(..), _) => InvalidationSource::SingleNode,
        (Database::Postgres(_), Some(nats)) => InvalidationSource::Nats(nats.clone()),
        (Database::Postgres(_), None) => InvalidationSource::None,
    }
}
