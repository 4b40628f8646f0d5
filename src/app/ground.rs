//! What the rooms stand on, and what binds them, from the settings.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use faceofmind_actors::{
    Ground, Settings as Bounds, community, hasher,
    keyring::Keyring,
    limits::Limit,
    logins,
    mailer::{Renderer, SmtpSettings, SmtpTls, Transport},
    nats::{self, Nats},
    otp::{Budget, OtpSettings},
    publisher::{self, StreamSettings},
    redis_server::RedisServer,
    suggestions::{Endpoint, EndpointSettings},
    user_registry::{self, PasswordRules},
};
use faceofmind_kit::{Clock, Database, Rng, db::PoolSettings};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::StartError;
use crate::{
    http::{layers::Origins, router::Edge, server},
    settings::{self, DatabaseUrl, Secrets, Settings, create_private_dir},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A person waits so long for a hash before they are told that too many do.
const HASHING_DEADLINE: Duration = Duration::from_secs(20);

/// A mail server gets so long for one mail.
const SMTP_TIMEOUT: Duration = Duration::from_secs(20);

/// The secrets, and the directory where development keeps those that it makes.
pub(super) fn secrets(settings: &Settings, rng: &Rng) -> Result<Secrets, StartError> {
    create_private_dir(&settings.service.data_dir).map_err(StartError::DataDir)?;
    Ok(Secrets::obtain(settings, rng)?)
}

/// Lays the ground: opens every part that the settings name; starts none.
pub(super) async fn lay(settings: &Settings, secrets: &Secrets, clock: Clock, rng: Rng) -> Result<Ground, StartError> {
    Ok(Ground {
        db: database(settings)?,
        redis: redis(settings)?,
        nats: nats(settings).await?,
        transport: transport(settings)?,
        renderer: renderer(settings)?,
        code_key: derived(&secrets.refresh, "faceofmind one-time codes"),
        keyring: keyring(secrets)?,
        endpoint: endpoint(&settings.suggestions)?,
        time_zone: settings.service.default_time_zone.clone(),
        clock,
        rng,
    })
}

pub(super) fn database(settings: &Settings) -> Result<Database, StartError> {
    let store = &settings.store;
    let pool = PoolSettings {
        max_connections: store.max_connections,
        statement_cache: store.statement_cache,
        ..PoolSettings::default()
    };
    match settings.database_url() {
        DatabaseUrl::Sqlite(path) => {
            let few = PoolSettings { max_connections: store.max_connections.min(4), ..pool };
            Ok(Database::sqlite(&path, few))
        }
        DatabaseUrl::Postgres(url) => {
            Database::postgres(url.expose(), pool).map_err(|error| StartError::part("DATABASE_URL")(error.to_string()))
        }
    }
}

/// Connects once, so that a database that cannot be reached is named at the start, with the reason.
pub(super) async fn reach(db: &Database) -> Result<(), StartError> {
    db.check_connectivity().await.map_err(|failure| StartError::part("DATABASE_URL")(failure.to_string()))
}

fn redis(settings: &Settings) -> Result<Option<RedisServer>, StartError> {
    let open = |url: &settings::SecretUrl| RedisServer::open(url.expose());
    let opened = settings.store.redis_url.as_ref().map(open).transpose();
    opened.map_err(|failure| StartError::part("REDIS_URL")(failure.to_string()))
}

pub(super) async fn nats(settings: &Settings) -> Result<Option<Nats>, StartError> {
    let urls: Vec<&str> = settings.events.nats_urls.iter().map(settings::SecretUrl::expose).collect();
    if urls.is_empty() {
        return Ok(None);
    }
    let credentials = settings.events.nats_creds_file.clone();
    let settings = nats::Settings { credentials, ..nats::Settings::new(SecretString::from(urls.join(","))) };
    let connected = Nats::connect(&settings).await;
    connected.map(Some).map_err(|failure| StartError::part("NATS_URL")(failure.to_string()))
}

fn transport(settings: &Settings) -> Result<Transport, StartError> {
    let mail = &settings.mail;
    let Some(host) = mail.host.clone() else {
        return Ok(Transport::files(settings.service.data_dir.join("mail")));
    };
    let smtp = SmtpSettings {
        host,
        port: mail.port,
        tls: match mail.tls {
            settings::SmtpTls::None => SmtpTls::None,
            settings::SmtpTls::Starttls => SmtpTls::Starttls,
            settings::SmtpTls::Tls => SmtpTls::Tls,
        },
        username: mail.email.clone().unwrap_or_default(),
        password: mail.password.clone(),
        timeout: SMTP_TIMEOUT,
    };
    Transport::smtp(smtp).map_err(|error| StartError::part("SMTP_HOST")(error.reason().to_string()))
}

pub(super) fn keyring(secrets: &Secrets) -> Result<Keyring, StartError> {
    let keys = secrets.data_keys.iter().map(|key| (key.id(), key.expose()));
    Keyring::new(keys).map_err(StartError::part("DATA_KEY"))
}

fn renderer(settings: &Settings) -> Result<Renderer, StartError> {
    let sender = settings.mail.email.as_deref().unwrap_or(Renderer::DEFAULT_SENDER);
    Renderer::new(sender, &settings.mail.from_name).map_err(|error| StartError::part("SMTP_EMAIL")(error.to_string()))
}

/// Who writes suggestions, if anybody besides the catalogue. A URL without a model does not pass the settings' checks.
fn endpoint(settings: &settings::Suggestions) -> Result<Option<Endpoint>, StartError> {
    let (Some(url), Some(model)) = (settings.url.clone(), settings.model.clone()) else { return Ok(None) };
    let opened = Endpoint::new(EndpointSettings { url, model, key: settings.key.clone() });
    opened.map(Some).map_err(|failure| StartError::part("SUGGESTIONS_URL")(failure.to_string()))
}

/// A key of its own for each use, from one secret: HMAC-SHA256 under a label.
fn derived(secret: &SecretString, label: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    hmac::sign(&key, label.as_bytes()).as_ref().to_vec()
}

/// What binds the rooms.
pub(super) fn bounds(settings: &Settings, secrets: Secrets) -> Bounds {
    let passwords = &settings.passwords;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Bounds {
        hasher: hasher::Settings {
            cost: hasher::Cost {
                memory_kib: passwords.argon2_memory_kib,
                iterations: passwords.argon2_iterations,
                parallelism: passwords.argon2_parallelism,
            },
            workers: cores,
            queue: passwords.hasher_queue,
            deadline: HASHING_DEADLINE,
        },
        registry: user_registry::Settings {
            passwords: PasswordRules { min_score: passwords.min_score },
            registrations: limit(&settings.limits, "registrations", settings.limits.registrations_per_hour, HOUR),
        },
        logins: logins(settings, secrets),
        otp: otp(&settings.limits),
        community: community::Settings {
            posts: limit(&settings.limits, "posts", settings.limits.posts_per_hour, HOUR),
            comments: limit(&settings.limits, "comments", settings.limits.comments_per_hour, HOUR),
        },
        publisher: publisher(&settings.events),
        limits: settings.limits.rate_limits,
    }
}

/// `RATE_LIMITS=off` switches every limit off, except those of one-time codes.
pub(super) const fn limit(limits: &settings::Limits, name: &'static str, max: u32, window: Duration) -> Limit {
    Limit { name, max: if limits.rate_limits { max } else { Limit::UNLIMITED }, window }
}

fn logins(settings: &Settings, secrets: Secrets) -> logins::Settings {
    let (limits, tokens) = (&settings.limits, &settings.tokens);
    logins::Settings {
        refresh_life: tokens.refresh_expires,
        reuse_grace: tokens.reuse_grace,
        limits: logins::LogInLimits {
            by_address: limit(limits, "failed-log-ins", limits.failed_logins_per_10_minutes, MINUTE * 10),
            by_strangers: limit(limits, "failed-log-ins-by-strangers", limits.failed_logins_per_day_by_strangers, DAY),
        },
        tokens: logins::TokenSettings {
            access_keys: std::iter::once(secrets.access).chain(secrets.access_also).collect(),
            refresh_key: secrets.refresh,
            issuer: tokens.issuer.clone(),
            audience: tokens.audience.clone(),
            access_seconds: i64::try_from(tokens.access_expires.as_secs()).unwrap_or(i64::MAX),
        },
    }
}

fn otp(limits: &settings::Limits) -> OtpSettings {
    let defaults = OtpSettings::default();
    OtpSettings {
        lifetime: limits.otp_expires,
        tries: u8::try_from(limits.code_tries).unwrap_or(u8::MAX),
        budget: Budget {
            within: MINUTE * 10,
            intents: limits.codes_per_10_minutes,
            of_one_client: limits.codes_per_10_minutes_per_client,
            ..defaults.budget
        },
        wrong_a_day: limits.wrong_codes_per_day,
        wrong_a_day_from_one_client: limits.wrong_codes_per_day_per_client,
        ..defaults
    }
}

fn publisher(events: &settings::Events) -> publisher::Settings {
    let defaults = publisher::Settings::default();
    let stream = StreamSettings {
        max_age: events.stream_age,
        duplicate_window: events.dedupe,
        window: events.window,
        ..defaults.stream
    };
    publisher::Settings { retention: events.retention, stream, ..defaults }
}

/// What the edge is told.
pub(super) fn edge(settings: &Settings, new_id: impl Fn() -> Uuid + Send + Sync + 'static) -> Edge {
    let http = &settings.http;
    let limits = server::Limits {
        body_bytes: http.body_limit,
        request: http.request_timeout,
        headers: http.header_timeout,
        ..server::Limits::default()
    };
    let origins = match &http.cors_origins {
        settings::CorsOrigins::Any => Origins::Any,
        settings::CorsOrigins::Only(origins) => Origins::only(origins),
    };
    Edge {
        limits,
        origins,
        proxies: http.trusted_proxies.iter().copied().collect(),
        new_request_id: Arc::new(new_id),
        metrics: Default::default(),
    }
}
