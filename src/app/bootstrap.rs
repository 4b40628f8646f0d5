//! From the settings to the resources that the actors use, and to the actors' own settings.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use faceofmind_base::{Clock, Rng};
use faceofmind_db::{Database, database::PoolSettings};
use faceofmind_domain::{
    accounts::{self, PasswordPolicy},
    community, logins,
    suggestions::{Endpoint, EndpointSettings},
};
use faceofmind_platform::{
    self as platform, Resources,
    encryption::Keyring,
    mail::{Renderer, SmtpSettings, SmtpTls, Transport},
    nats::{self, NatsConnection},
    otp::{self, IssueQuota},
    outbox::{self, StreamSettings},
    password_hasher,
    rate_limit::Limit,
    redis::RedisServer,
};
use faceofmind_system::{Settings as ActorSettings, modules};
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::StartError;
use crate::{
    http::{
        client::TrustedProxies,
        connections::open::ConnectionLimits,
        daily_share::DailyShare,
        edge::{CorsPolicy, HttpConfig},
        server,
    },
    settings::{self, DatabaseUrl, Secrets, Settings, create_private_dir},
};

pub(super) const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const BYTES_PER_MEGABYTE: usize = 1_000_000;

/// A password that is not hashed in this time is answered with "busy".
const HASHING_DEADLINE: Duration = Duration::from_secs(20);

/// The deadline of a mail server for one mail.
const SMTP_TIMEOUT: Duration = Duration::from_secs(20);

/// Loads the secrets. Creates the data directory, in which development keeps the generated ones.
pub(super) fn secrets(settings: &Settings, rng: &Rng) -> Result<Secrets, StartError> {
    create_private_dir(&settings.service.data_dir).map_err(StartError::DataDir)?;
    Ok(Secrets::load_or_generate(&settings.tokens, &settings.service.data_dir, rng)?)
}

/// Opens the database, Redis, NATS and the mail transport that the settings name. Starts no actor.
pub(super) async fn connect_resources(
    settings: &Settings,
    secrets: &Secrets,
    clock: Clock,
    rng: Rng,
) -> Result<Resources, StartError> {
    Ok(Resources {
        db: database(settings)?,
        redis: redis(settings)?,
        nats: nats(settings).await?,
        transport: transport(settings)?,
        renderer: renderer(settings)?,
        code_key: derive_key(&secrets.refresh, "faceofmind one-time codes"),
        keyring: keyring(secrets)?,
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
            let settings = PoolSettings { max_connections: store.max_connections.min(4), ..pool };
            Ok(Database::sqlite(&path, settings))
        }
        DatabaseUrl::Postgres(url) => {
            Database::postgres(url.expose(), pool).map_err(|error| StartError::part("DATABASE_URL")(error.to_string()))
        }
    }
}

/// Connects once, so that the start fails with the reason if the database cannot be reached.
pub(super) async fn check_database(db: &Database) -> Result<(), StartError> {
    db.check_connectivity().await.map_err(|failure| StartError::unreachable("DATABASE_URL", failure))
}

fn redis(settings: &Settings) -> Result<Option<RedisServer>, StartError> {
    let open = |url: &settings::SecretUrl| RedisServer::open(url.expose());
    let opened = settings.store.redis_url.as_ref().map(open).transpose();
    opened.map_err(|failure| StartError::part("REDIS_URL")(failure.to_string()))
}

pub(super) async fn nats(settings: &Settings) -> Result<Option<NatsConnection>, StartError> {
    let urls: Vec<&str> = settings.events.nats_urls.iter().map(settings::SecretUrl::expose).collect();
    if urls.is_empty() {
        return Ok(None);
    }
    let credentials = settings.events.nats_creds_file.clone();
    let settings = nats::Settings { credentials, ..nats::Settings::new(SecretString::from(urls.join(","))) };
    let connected = NatsConnection::connect(&settings).await;
    connected.map(Some).map_err(|failure| StartError::unreachable("NATS_URL", failure))
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
    let renderer = Renderer::new(sender, &settings.mail.from_name)
        .map_err(|error| StartError::part("SMTP_EMAIL")(error.to_string()))?;
    Ok(renderer.with_links_to(&public_url(settings)))
}

/// Where the links of mails lead.
fn public_url(settings: &Settings) -> String {
    let http = &settings.http;
    let given = http.public_url.as_ref().map(ToString::to_string);
    given.unwrap_or_else(|| {
        let url = format!("http://{}", SocketAddr::new(http.host, http.port));
        if settings.service.environment.is_production() {
            tracing::warn!("links in mails lead to HOST and PORT, which users may not reach: set PUBLIC_URL");
        }
        url
    })
}

/// The API that writes suggestions, if one is set. The checks of the settings reject a URL without a model.
fn endpoint(settings: &settings::Suggestions) -> Result<Option<Endpoint>, StartError> {
    let (Some(url), Some(model)) = (settings.url.clone(), settings.model.clone()) else { return Ok(None) };
    let opened = Endpoint::new(EndpointSettings { url, model, key: settings.key.clone() });
    opened.map(Some).map_err(StartError::part("SUGGESTIONS_URL"))
}

/// Derives a key for one purpose from a secret: HMAC-SHA256 of the label.
fn derive_key(secret: &SecretString, label: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    hmac::sign(&key, label.as_bytes()).as_ref().to_vec()
}

/// The limits, deadlines and keys of the actors.
pub(super) fn actor_settings(settings: &Settings, secrets: Secrets) -> Result<ActorSettings, StartError> {
    let passwords = &settings.passwords;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let platform = platform::Settings {
        hasher: password_hasher::Settings {
            cost: password_hasher::Cost {
                memory_kib: passwords.argon2_memory_kib,
                iterations: passwords.argon2_iterations,
                parallelism: passwords.argon2_parallelism,
            },
            workers: cores,
            queue: passwords.hasher_queue,
            deadline: HASHING_DEADLINE,
        },
        otp: otp(&settings.limits),
        publisher: publisher(&settings.events),
    };
    let modules = modules::Settings {
        accounts: accounts::Settings {
            passwords: PasswordPolicy { min_score: passwords.min_score },
            registrations: limit(&settings.limits, "registrations", settings.limits.registrations_per_hour, HOUR),
            code_lifetime: settings.limits.otp_expires,
        },
        logins: logins(settings, secrets),
        community: community::Settings {
            posts: limit(&settings.limits, "posts", settings.limits.posts_per_hour, HOUR),
            comments: limit(&settings.limits, "comments", settings.limits.comments_per_hour, HOUR),
        },
        endpoint: endpoint(&settings.suggestions)?,
    };
    Ok(ActorSettings { platform, modules })
}

/// `RATE_LIMITS=off` switches every limit off, except those of one-time codes.
pub(super) const fn limit(limits: &settings::Limits, name: &'static str, max: u32, window: Duration) -> Limit {
    Limit { name, max: if limits.rate_limits { max } else { Limit::UNLIMITED }, window }
}

/// The daily share of a user, as a number of bodies of the greatest size.
pub(super) fn daily_share(settings: &Settings) -> DailyShare {
    let body_limit = settings.http.body_limit;
    let bodies = (settings.limits.megabytes_per_day as usize * BYTES_PER_MEGABYTE).div_ceil(body_limit);
    let max = u32::try_from(bodies).unwrap_or(Limit::UNLIMITED);
    DailyShare { limit: limit(&settings.limits, "bodies-of-a-day", max, DAY), body_limit }
}

fn logins(settings: &Settings, secrets: Secrets) -> logins::Settings {
    let (limits, tokens) = (&settings.limits, &settings.tokens);
    logins::Settings {
        refresh_lifetime: tokens.refresh_expires,
        reuse_grace: tokens.reuse_grace,
        limits: logins::LoginLimits {
            per_client: limit(limits, "failed-log-ins", limits.failed_logins_per_10_minutes, MINUTE * 10),
            unknown_clients: limit(
                limits,
                "failed-log-ins-by-strangers",
                limits.failed_logins_per_day_by_strangers,
                DAY,
            ),
            per_known_client: limit(
                limits,
                "failed-log-ins-by-known-clients",
                limits.failed_logins_per_day_by_strangers,
                DAY,
            ),
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

fn otp(limits: &settings::Limits) -> otp::Settings {
    let defaults = otp::Settings::default();
    otp::Settings {
        lifetime: limits.otp_expires,
        max_attempts: u8::try_from(limits.code_tries).unwrap_or(u8::MAX),
        quota: IssueQuota {
            window: MINUTE * 10,
            max_mails: limits.codes_per_10_minutes,
            max_per_client: limits.codes_per_10_minutes_per_client,
            ..defaults.quota
        },
        max_failures_per_account: limits.wrong_codes_per_day,
        max_failures_per_account_and_client: limits.wrong_codes_per_day_per_client,
        max_failures_per_client: limits.wrong_codes_per_day_of_client,
        ..defaults
    }
}

fn publisher(events: &settings::Events) -> outbox::Settings {
    let defaults = outbox::Settings::default();
    let stream = StreamSettings {
        max_age: events.stream_age,
        duplicate_window: events.dedupe,
        window: events.window,
        ..defaults.stream
    };
    outbox::Settings { retention: events.retention, stream, ..defaults }
}

/// The limits, web origins and proxies of the HTTP edge.
pub(super) fn http_config(
    settings: &Settings,
    stopping: CancellationToken,
    new_id: impl Fn() -> Uuid + Send + Sync + 'static,
) -> HttpConfig {
    let http = &settings.http;
    let limits = server::Limits {
        body_bytes: http.body_limit,
        request: http.request_timeout,
        headers: http.header_timeout,
        ..server::Limits::default()
    };
    let cors = match &http.cors_origins {
        settings::CorsOrigins::Any => CorsPolicy::Any,
        settings::CorsOrigins::Only(origins) => CorsPolicy::only(origins),
    };
    let max = super::open_files::connections_of_clients(settings.store.max_connections);
    let proxies: TrustedProxies = http.trusted_proxies.iter().copied().collect();
    let share = if settings.limits.rate_limits { max / 4 } else { max };
    HttpConfig {
        limits,
        connections: ConnectionLimits { max, share, proxies: proxies.clone() },
        admission: Default::default(),
        cors,
        proxies,
        new_request_id: Arc::new(new_id),
        metrics: Default::default(),
        stopping,
    }
}

#[cfg(test)]
mod tests;
