//! The actors, wired and supervised. Only this crate knows every module.
//!
//! One supervisor owns all of them, one for one. It stops them in the reverse order of their start:
//!
//! ```text
//! publisher ─ hasher ─ limiter ─ otp ─ user_registry ─ logins ─ suggestions ─ session_tracker ─ community ─ reminders ─ exporter ─ mailer
//! ```
//!
//! [`modules`] lists what must happen to every module.

use std::sync::Arc;

use faceofmind_base::{Clock, Rng};
use faceofmind_db::Database;
use faceofmind_domain::{
    accounts::{self, UserRegistry},
    community::{self, Community},
    logins::{self, Authenticator, LoginRegistry},
    reminders::{self, ReminderScheduler},
    sessions::{self, SessionTracker},
    suggestions::{self, Endpoint, SuggestionEngine},
};
use faceofmind_platform::{
    auth_cache::{AuthCache, InvalidationSource},
    encryption::Keyring,
    mail::{self, Mailer, Renderer, Transport},
    nats::NatsConnection,
    otp::{self, CodeStore, OtpIssuer},
    outbox::{self, EventBus, Publisher},
    password_hasher::{self, PasswordHasher},
    rate_limit::{self, Counters, RateLimiter},
    redis::RedisServer,
};
use faceofmind_runtime::{Handle, RestartPolicy, StartError, Supervisor, SupervisorHandle, SupervisorSpec};
use jiff::tz::TimeZone;
use prometheus_client::metrics::histogram::Histogram;

pub mod asyncapi;
pub mod exporter;
pub mod key_rotation;
mod mail_content;
pub mod modules;

use self::{exporter::Exporter, mail_content::MailComposition};

/// Upper bounds of the histogram of hash times, in seconds. A hash at the default cost takes 20 to 100 ms.
const HASH_TIME_BUCKETS: [f64; 8] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];

/// What the actors need: each part chosen and connected, no actor started.
pub struct Resources {
    pub db: Database,
    /// One-time codes and rate limits. Without it they are in the database.
    pub redis: Option<RedisServer>,
    /// Events for other services, and cache invalidations between nodes.
    pub nats: Option<NatsConnection>,
    pub transport: Transport,
    pub renderer: Renderer,
    /// The key of the hashes of codes and of rate limit subjects: 32 bytes or more.
    pub code_key: Vec<u8>,
    /// Encrypts voice texts and stored responses.
    pub keyring: Keyring,
    /// The model that writes suggestions. Without it they come from the catalogue.
    pub endpoint: Option<Endpoint>,
    /// The time zone of users without one.
    pub time_zone: TimeZone,
    pub clock: Clock,
    pub rng: Rng,
}

/// The limits of the actors.
pub struct Settings {
    pub hasher: password_hasher::Settings,
    pub accounts: accounts::Settings,
    pub logins: logins::Settings,
    pub otp: otp::Settings,
    pub community: community::Settings,
    pub publisher: outbox::Settings,
}

/// Which actors are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorSet {
    /// All, for a service.
    All,
    /// Those of accounts, for a command beside a running service. That service publishes the command's events and sends its mails.
    AccountsOnly,
}

impl ActorSet {
    fn has(self, actor: &str) -> bool {
        self == Self::All || ["hasher", "limiter", "otp", accounts::NAME].contains(&actor)
    }
}

/// The running actors.
#[derive(Clone)]
pub struct ActorSystem {
    pub accounts: Handle<UserRegistry>,
    pub logins: Handle<LoginRegistry>,
    /// Checks access tokens.
    pub authenticator: Authenticator,
    pub sessions: Handle<SessionTracker>,
    pub community: Handle<Community>,
    pub reminders: Handle<ReminderScheduler>,
    pub exporter: Handle<Exporter>,
    pub otp: Handle<OtpIssuer>,
    /// The store of one-time codes.
    pub codes: CodeStore,
    pub rate_limiter: Handle<RateLimiter>,
    pub mailer: Handle<Mailer>,
    pub transport: Arc<Transport>,
    pub publisher: Handle<Publisher>,
    /// The published events.
    pub events: EventBus,
    pub clock: Clock,
    /// The time that a worker takes for one password hash, in seconds.
    pub hash_time: Histogram,
    pub tree: SupervisorHandle,
}

impl ActorSystem {
    /// Starts the actors of this set. Fails when one does not start, or when Argon2 does not allow the cost.
    pub async fn start(resources: Resources, settings: Settings, set: ActorSet) -> Result<Self, StartError> {
        let Resources { db, redis, nats, transport, renderer, code_key, keyring, endpoint, time_zone, clock, rng } =
            resources;
        let auth_cache = AuthCache::new(invalidation_source(&db, nats.as_ref()));
        let (mailer, transport) = (Mailer::handle(), Arc::new(transport));
        let events = EventBus::new(&settings.publisher, db.clone());
        let deps = outbox::Deps { db: db.clone(), bus: events.clone(), nats, clock: clock.clone(), rng: rng.clone() };
        let (publisher, publishing) = Publisher::new(settings.publisher, deps);
        let hash_time = Histogram::new(HASH_TIME_BUCKETS);
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
        let (otp, issuing) = OtpIssuer::new(settings.otp, deps);
        let deps = accounts::Deps {
            db: db.clone(),
            hasher: hasher.clone(),
            limiter: limiter.clone(),
            otp: otp.clone(),
            mailer: mailer.clone(),
            transport: Arc::clone(&transport),
            publisher: publisher.clone(),
            auth_cache: auth_cache.clone(),
            hooks: modules::ACCOUNT_HOOKS,
            clock: clock.clone(),
            rng: rng.clone(),
        };
        let (accounts, registry) = UserRegistry::new(settings.accounts, deps);
        let deps = logins::Deps {
            db: db.clone(),
            cache: auth_cache,
            accounts: accounts.clone(),
            hasher,
            limiter: limiter.clone(),
            mailer: mailer.clone(),
            clock: clock.clone(),
            rng: rng.clone(),
        };
        let (logins, authenticator, logging_in) = LoginRegistry::new(settings.logins, deps);
        let deps = suggestions::Deps { endpoint, clock: clock.clone(), rng: rng.clone() };
        let (_, suggestions, suggesting) = SuggestionEngine::new(suggestions::Settings::default(), deps);
        let deps = exporter::Deps { db: db.clone(), keyring: keyring.clone(), clock: clock.clone() };
        let (exporter, exporting) = Exporter::new(exporter::Settings::default(), deps);
        let deps = sessions::Deps {
            db: db.clone(),
            publisher: publisher.clone(),
            suggestions,
            keyring: keyring.clone(),
            time_zone: time_zone.clone(),
            clock: clock.clone(),
            rng: rng.clone(),
        };
        let (sessions, tracking) = SessionTracker::new(sessions::Settings::default(), deps);
        let deps = community::Deps {
            db: db.clone(),
            publisher: publisher.clone(),
            limiter: limiter.clone(),
            keyring: keyring.clone(),
            clock: clock.clone(),
            rng: rng.clone(),
        };
        let (community, sharing) = Community::new(settings.community, deps);
        let deps = reminders::Deps {
            db: db.clone(),
            publisher: publisher.clone(),
            mailer: mailer.clone(),
            keyring,
            time_zone: time_zone.clone(),
            clock: clock.clone(),
            rng: rng.clone(),
        };
        let (reminders, reminding) = ReminderScheduler::new(deps);
        let composer = MailComposition {
            accounts: accounts.clone(),
            logins: logins.clone(),
            otp: otp.clone(),
            reminders: reminders.clone(),
            time_zone,
        };
        let deps = mail::Deps {
            db,
            transport: Arc::clone(&transport),
            composer: Arc::new(composer),
            renderer,
            clock: clock.clone(),
            rng: rng.clone(),
        };
        let mailing = Mailer::child(&mailer, deps);
        let mut children = vec![publishing, hashing, limiting, issuing, registry];
        children.extend([logging_in, suggesting, tracking, sharing, reminding, exporting, mailing]);
        children.retain(|child| set.has(child.name()));
        let spec = SupervisorSpec { children, policy: RestartPolicy::default(), clock: clock.clone(), rng };
        let tree = Supervisor::start(spec).await?;
        Ok(Self {
            accounts,
            logins,
            authenticator,
            sessions,
            community,
            reminders,
            exporter,
            otp,
            codes,
            rate_limiter: limiter,
            mailer,
            transport,
            publisher,
            events,
            clock,
            hash_time,
            tree,
        })
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
