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
    suggestions::{self, Endpoint, SuggestionEngine, Suggestions},
};
use faceofmind_platform::{
    auth_cache::{AuthCache, InvalidationSource},
    encryption::Keyring,
    mail::{self, Mailer, Renderer, Transport},
    nats::NatsConnection,
    otp::{self, CodeStore, OtpIssuer},
    outbox::{self, EventBus, Publisher},
    password_hasher::{self, PasswordHasher},
    rate_limit::{self, Counters, Limits, RateLimiter},
    redis::RedisServer,
};
use faceofmind_runtime::{Handle, RestartPolicy, Supervisor, SupervisorHandle, SupervisorSpec, legacy::Failure};
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

/// What the actors stand on: each part chosen and connected, no actor started.
pub struct Resources {
    /// State.
    pub db: Database,
    /// Codes and counters; in the database where there is none.
    pub redis: Option<RedisServer>,
    /// Events for other services, and news between nodes.
    pub nats: Option<NatsConnection>,
    /// How mail leaves.
    pub transport: Transport,
    /// How it is written.
    pub renderer: Renderer,
    /// Hashes codes and the subjects of counters: 32 bytes or more.
    pub code_key: Vec<u8>,
    /// Seals what people say.
    pub keyring: Keyring,
    /// Who writes suggestions before the catalogue does, if anybody.
    pub endpoint: Option<Endpoint>,
    /// The zone of people who have set none.
    pub time_zone: TimeZone,
    /// What time it is.
    pub clock: Clock,
    /// Chance.
    pub rng: Rng,
}

/// What the rooms are bound by.
pub struct Settings {
    /// Passwords.
    pub hasher: password_hasher::Settings,
    /// Users.
    pub accounts: accounts::Settings,
    /// Log-ins.
    pub logins: logins::Settings,
    /// Codes.
    pub otp: otp::Settings,
    /// Posts and comments.
    pub community: community::Settings,
    /// Events.
    pub publisher: outbox::Settings,
    /// Whether anything is limited, but for codes.
    pub limits: bool,
}

/// Which actors are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorSet {
    /// All of them: a service.
    All,
    /// Those who keep accounts, for a command beside a service that runs: what it records, that one publishes and mails.
    AccountsOnly,
}

impl ActorSet {
    fn has(self, actor: &str) -> bool {
        self == Self::All || ["hasher", "limiter", "otp", accounts::NAME].contains(&actor)
    }
}

/// The rooms at work.
#[derive(Clone)]
pub struct ActorSystem {
    /// Users.
    pub accounts: Handle<UserRegistry>,
    /// Who is logged in.
    pub logins: Handle<LoginRegistry>,
    /// Checks access tokens.
    pub authenticator: Authenticator,
    /// Sessions and detections.
    pub sessions: Handle<SessionTracker>,
    pub community: Handle<Community>,
    pub reminders: Handle<ReminderScheduler>,
    /// What is suggested to them.
    pub suggestions: Suggestions,
    /// All that is held about them.
    pub exporter: Handle<Exporter>,
    /// One-time codes.
    pub otp: Handle<OtpIssuer>,
    /// The store of one-time codes.
    pub codes: CodeStore,
    /// How often something was tried.
    pub limits: Limits,
    /// Mail.
    pub mailer: Handle<Mailer>,
    /// Sends the mails.
    pub transport: Arc<Transport>,
    /// Publishes events.
    pub publisher: Handle<Publisher>,
    /// The published events.
    pub events: EventBus,
    /// The clock of all actors.
    pub clock: Clock,
    /// The time that a worker takes for one password hash, in seconds.
    pub hash_time: Histogram,
    /// Who keeps them all alive.
    pub tree: SupervisorHandle,
}

impl ActorSystem {
    /// Starts the rooms of this crew.
    ///
    /// # Errors
    /// When one does not start, or Argon2 does not allow the cost.
    pub async fn start(resources: Resources, settings: Settings, set: ActorSet) -> Result<Self, Failure> {
        let Resources { db, redis, nats, transport, renderer, code_key, keyring, endpoint, time_zone, clock, rng } =
            resources;
        let auth_cache = AuthCache::new(invalidation_source(&db, nats.as_ref()));
        let (mailer, transport) = (Mailer::handle(), Arc::new(transport));
        let events = EventBus::new(&settings.publisher, db.clone());
        let deps = outbox::Deps { db: db.clone(), bus: events.clone(), nats, clock: clock.clone(), rng: rng.clone() };
        let (publisher, publishing) = Publisher::new(settings.publisher, deps);
        let hash_time = Histogram::new(HASH_TIME_BUCKETS);
        let deps = password_hasher::Deps { rng: rng.clone(), hash_time: hash_time.clone() };
        let (hasher, hashing) = PasswordHasher::new(settings.hasher, deps).map_err(invalid_argon2_cost)?;
        let counters = redis.clone().map_or_else(|| Counters::Sql(db.clone()), Counters::Redis);
        let deps = rate_limit::Deps { counters, key: code_key.clone(), clock: clock.clone(), rng: rng.clone() };
        let (limiter, limiting) = RateLimiter::new(rate_limit::Settings::default(), deps);
        let limits = if settings.limits { Limits(Some(limiter.clone())) } else { Limits::off() };
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
        let (suggestions, suggesting) = SuggestionEngine::new(suggestions::Settings::default(), deps);
        let (exporter, exporting) = Exporter::new(
            exporter::Settings::default(),
            exporter::Deps { db: db.clone(), keyring: keyring.clone(), clock: clock.clone() },
        );
        let deps = sessions::Deps {
            db: db.clone(),
            publisher: publisher.clone(),
            suggestions: suggestions.clone(),
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
        let tree = Supervisor::start(spec)
            .await
            .map_err(|error| Failure::Dependency { service: "supervisor", reason: error.to_string() })?;
        Ok(Self {
            accounts,
            logins,
            authenticator,
            sessions,
            community,
            reminders,
            suggestions,
            exporter,
            otp,
            codes,
            limits,
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

fn invalid_argon2_cost(reason: String) -> Failure {
    Failure::Dependency { service: "Argon2", reason }
}

/// A SQLite file is locked by the one process that serves it. Nodes that share a PostgreSQL server can reach one another over NATS alone.
fn invalidation_source(db: &Database, nats: Option<&NatsConnection>) -> InvalidationSource {
    match (db, nats) {
        (Database::Sqlite(..), _) => InvalidationSource::SingleNode,
        (Database::Postgres(_), Some(nats)) => InvalidationSource::Nats(nats.clone()),
        (Database::Postgres(_), None) => InvalidationSource::None,
    }
}
