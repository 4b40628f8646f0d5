//! The rooms: one supervised actor each, with all that it owns. Read this first: who supervises whom, and who knows whom.
//!
//! One supervisor keeps all of them, one for one, and stops them in the reverse order of their start:
//!
//! ```text
//! publisher ─ hasher ─ limiter ─ otp ─ registry-0 … registry-7 ─ logins ─ suggestions ─ session_tracker ─ community ─ reminders ─ exporter ─ mailer
//! ```
//!
//! Rooms meet in messages, or, where it must be one transaction, in a function that the owning room exports and that takes the caller's
//! `Tx`: [`publisher::record`], [`mailer::queue`], [`idempotency::claim`], [`logins::end_all`], [`reminders::rezone`],
//! [`user_registry::hold`], [`user_registry::time_zones`], each room's `erase` and `export`.

use faceofmind_kit::{Clock, Database, Failure, Rng, Supervisor, SupervisorHandle, supervisor};
use jiff::tz::TimeZone;

pub mod client;
pub mod community;
pub mod emotions;
pub mod exporter;
pub mod hasher;
pub mod idempotency;
mod keyed_hash;
pub mod keyring;
pub mod limits;
pub mod logins;
pub mod mailer;
pub mod nats;
pub mod otp;
pub mod publisher;
pub mod redis_server;
pub mod reminders;
pub mod resealing;
pub mod schema;
pub mod session_tracker;
pub mod suggestions;
pub mod user_registry;

#[cfg(test)]
mod testing;

use self::{
    community::Community,
    exporter::Exporter,
    hasher::Hasher,
    keyring::Keyring,
    limits::{Counters, LimiterSettings, Limits},
    logins::{Logins, Sources, Views},
    mailer::{Desk, Mailer, Renderer, Transport},
    nats::Nats,
    otp::{Codes, Otp, OtpSettings},
    publisher::Publisher,
    redis_server::RedisServer,
    reminders::Reminders,
    session_tracker::Sessions,
    suggestions::{Endpoint, Suggestions},
    user_registry::UserRegistry,
};

/// What the rooms stand on: each part chosen, none started.
pub struct Ground {
    /// State.
    pub db: Database,
    /// Codes and counters; in the database where there is none.
    pub redis: Option<RedisServer>,
    /// Events for other services, and news between nodes.
    pub nats: Option<Nats>,
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
    pub hasher: hasher::Settings,
    /// Users.
    pub registry: user_registry::Settings,
    /// Log-ins.
    pub logins: logins::Settings,
    /// Codes.
    pub otp: OtpSettings,
    /// Posts and comments.
    pub community: community::Settings,
    /// Events.
    pub publisher: publisher::Settings,
    /// Whether anything is limited, but for codes.
    pub limits: bool,
}

/// Which actors are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crew {
    /// All of them: a service.
    All,
    /// Those who keep accounts, for a command beside a service that runs: what it records, that one publishes and mails.
    Accounts,
}

impl Crew {
    fn has(self, actor: &str) -> bool {
        self == Self::All || ["hasher", "limiter", "otp"].contains(&actor) || user_registry::SHARDS.contains(&actor)
    }
}

/// The rooms at work.
#[derive(Clone, Debug)]
pub struct House {
    /// Who exists.
    pub registry: UserRegistry,
    /// Who is logged in.
    pub logins: Logins,
    /// Their sessions.
    pub sessions: Sessions,
    /// What they write for each other.
    pub community: Community,
    /// What they want to be reminded of.
    pub reminders: Reminders,
    /// What is suggested to them.
    pub suggestions: Suggestions,
    /// All that is held about them.
    pub exporter: Exporter,
    /// Their codes.
    pub otp: Otp,
    /// How often something was tried.
    pub limits: Limits,
    /// Mail.
    pub mailer: Mailer,
    /// Events.
    pub publisher: Publisher,
    /// Who keeps them all alive.
    pub tree: SupervisorHandle,
}

impl House {
    /// Starts the rooms of this crew.
    ///
    /// # Errors
    /// When one does not start, or Argon2 does not allow the cost.
    pub async fn open(ground: Ground, settings: Settings, crew: Crew) -> Result<Self, Failure> {
        let Ground { db, redis, nats, transport, renderer, code_key, keyring, endpoint, time_zone, clock, rng } =
            ground;
        let means = || (clock.clone(), rng.clone());
        let views = Views::new(sources(&db, nats.as_ref()));
        let mailer = Mailer::new(transport);
        let (publisher, publishing) = Publisher::new(settings.publisher, db.clone(), nats, clock.clone(), rng.clone());
        let (hasher, hashing) = Hasher::new(settings.hasher, rng.clone()).map_err(too_dear)?;
        let counters = redis.clone().map_or_else(|| Counters::Sql(db.clone()), Counters::Redis);
        let (counted, limiting) =
            Limits::new(LimiterSettings::default(), counters, &code_key, clock.clone(), rng.clone());
        let limits = if settings.limits { counted.clone() } else { Limits::off() };
        let codes = redis.map_or_else(|| Codes::Sql(db.clone()), Codes::Redis);
        let (otp, minting) = Otp::new(settings.otp, codes, &code_key, counted, clock.clone(), rng.clone());
        let neighbours = user_registry::Neighbours {
            hasher: hasher.clone(),
            limits: limits.clone(),
            otp: otp.clone(),
            mailer: mailer.clone(),
            publisher: publisher.clone(),
            views: views.clone(),
        };
        let (registry, registering) = UserRegistry::new(settings.registry, db.clone(), neighbours, means());
        let neighbours =
            logins::Neighbours { registry: registry.clone(), hasher, limits: limits.clone(), mailer: mailer.clone() };
        let (logins, logging_in) = Logins::new(settings.logins, db.clone(), views, neighbours, means());
        let (suggestions, suggesting) =
            Suggestions::new(suggestions::Settings::default(), endpoint, clock.clone(), rng.clone());
        let (exporter, exporting) =
            Exporter::new(exporter::Settings::default(), db.clone(), keyring.clone(), clock.clone());
        let neighbours = session_tracker::Neighbours {
            publisher: publisher.clone(),
            suggestions: suggestions.clone(),
            keyring: keyring.clone(),
            time_zone: time_zone.clone(),
        };
        let (sessions, tracking) = Sessions::new(session_tracker::Settings::default(), db.clone(), neighbours, means());
        let neighbours =
            community::Neighbours { publisher: publisher.clone(), limits: limits.clone(), keyring: keyring.clone() };
        let (community, sharing) = Community::new(settings.community, db.clone(), neighbours, means());
        let neighbours = reminders::Neighbours {
            publisher: publisher.clone(),
            mailer: mailer.clone(),
            keyring,
            time_zone: time_zone.clone(),
        };
        let (reminders, reminding) = Reminders::new(db.clone(), neighbours, means());
        let mailing = mailer.child(Desk {
            db,
            registry: registry.clone(),
            logins: logins.clone(),
            otp: otp.clone(),
            reminders: reminders.clone(),
            renderer,
            time_zone,
            clock: clock.clone(),
            rng: rng.clone(),
        });
        let mut children = vec![publishing, hashing, limiting, minting];
        children.extend(registering);
        children.extend([logging_in, suggesting, tracking, sharing, reminding, exporting, mailing]);
        children.retain(|child| crew.has(child.name()));
        let family = supervisor::Family { children, policy: supervisor::Policy::default(), clock, rng };
        let tree = Supervisor::start(family).await?;
        Ok(Self {
            registry,
            logins,
            sessions,
            community,
            reminders,
            suggestions,
            exporter,
            otp,
            limits,
            mailer,
            publisher,
            tree,
        })
    }
}

fn too_dear(reason: String) -> Failure {
    Failure::Dependency { service: "Argon2", reason }
}

/// A file has one process; of a server's other clients one hears over NATS, or not at all.
fn sources(db: &Database, nats: Option<&Nats>) -> Sources {
    match (db, nats) {
        (Database::Sqlite(..), _) => Sources::Alone,
        (Database::Postgres(_), Some(nats)) => Sources::Told(nats.clone()),
        (Database::Postgres(_), None) => Sources::Untold,
    }
}
