//! Every setting, once: the field it becomes, its key, what it takes. What it is for and its default stand in
//! `config/default.toml`, in the same order.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;
use jiff::tz::TimeZone;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    data_keys::DataKeys,
    reader::Reader,
    secret_url::SecretUrl,
    setting::{Setting, list, number, optional, span, switch, text},
    values::{self, CorsOrigins, DatabaseUrl, Environment, SmtpTls},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Makes a struct and its reading of lines `field: Type = setting`. All of a group's settings are read before any is
/// missed, so that everything wrong is told at once.
macro_rules! group {
    ($(#[$about:meta])* $name:ident { $($(#[$field_about:meta])* $field:ident: $type:ty = $setting:expr,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug)]
        pub struct $name { $($(#[$field_about])* pub $field: $type,)* }

        impl $name {
            pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
                $(let $field: Option<$type> = from.read($setting);)*
                Some(Self { $($field: $field?,)* })
            }
        }
    };
}

pub(super) fn environment() -> Setting<Environment> {
    text("faceofmind_env", "development or production", Environment::parse)
}

group! {
    /// How strict to be, and where things are kept.
    Service {
        /// Development or production.
        environment: Environment = environment(),
        /// The directory of all that is kept in files.
        data_dir: PathBuf = text("data_dir", "the path of a directory", values::path),
        /// A filter as `tracing_subscriber::EnvFilter` takes it.
        log_filter: String = text("rust_log", "a level, or directives such as `info,sqlx=warn`", values::log_filter),
        /// In which days are cut when nobody says otherwise.
        default_time_zone: TimeZone = text("default_time_zone", "a name such as Asia/Manila", values::time_zone),
    }
}

group! {
    /// The public port and the operators'.
    Http {
        /// Address of the public port.
        host: IpAddr = text("host", "an IP address or localhost", values::host),
        /// Public port; 0 for any that is free.
        port: u16 = number("port", 0..=65535),
        /// Where operators read metrics, if anywhere.
        operator_addr: Option<SocketAddr> =
            optional("operator_addr", "an address such as 127.0.0.1:9001", values::socket_address).empty_counts(),
        /// Whose pages may call.
        cors_origins: CorsOrigins = text("cors_origins", "origins, * or none", CorsOrigins::parse).listed(),
        /// Whose `X-Forwarded-For` is believed.
        trusted_proxies: Vec<IpNet> = list("trusted_proxies", "networks such as 10.0.0.0/8", values::network),
        /// The longest body, in bytes.
        body_limit: usize = number("body_limit_bytes", 1024..=64 * 1024 * 1024),
        /// How long a request's head may take.
        header_timeout: Duration = span("header_timeout_seconds", SECOND, 1..=300),
        /// How long an answer may take.
        request_timeout: Duration = span("request_timeout_seconds", SECOND, 1..=600),
        /// How long a stop may take.
        shutdown_timeout: Duration = span("shutdown_timeout_seconds", SECOND, 1..=600),
    }
}

const DATABASE: &str = "postgres://user:password@host/name or sqlite:PATH";

fn redis(text: &str) -> Result<SecretUrl, String> {
    SecretUrl::parse(text, &["redis", "rediss"])
}

group! {
    /// The state. [`Settings::database_url`](super::Settings::database_url) tells where it is kept.
    Store {
        /// As given; none means the file in the data directory.
        given_url: Option<DatabaseUrl> = optional("database_url", DATABASE, DatabaseUrl::parse).url(),
        /// Connections of the pool.
        max_connections: u32 = number("database_max_connections", 1..=1000),
        /// Prepared statements kept for each connection; 0 keeps none.
        statement_cache: usize = number("database_statement_cache", 0..=10_000),
        /// Codes and counters; none keeps them in the database.
        redis_url: Option<SecretUrl> = optional("redis_url", "redis://host:6379 or rediss://…", redis).url(),
    }
}

fn nats(text: &str) -> Result<SecretUrl, String> {
    SecretUrl::parse(text, &["nats", "tls"])
}

group! {
    /// How events travel.
    Events {
        /// Servers of one NATS cluster; none keeps events within the process.
        nats_urls: Vec<SecretUrl> = list("nats_url", "nats://host:4222 or tls://…, comma-separated", nats).url(),
        /// The credentials to present to NATS.
        nats_creds_file: Option<PathBuf> = optional("nats_creds_file", "the path of a file", values::path),
        /// How long a published event stays in the outbox.
        retention: Duration = span("events_retention_hours", HOUR, 1..=8760),
        /// Publishes in flight at once.
        window: usize = number("events_window", 1..=4096),
        /// How long an event stays in the stream.
        stream_age: Duration = span("events_stream_days", DAY, 1..=3650),
        /// How long JetStream remembers an event's id.
        dedupe: Duration = span("events_dedupe_seconds", SECOND, 1..=86_400),
    }
}

/// Bytes below which an HMAC key is weaker than its hash (RFC 7518 §3.2).
const KEY_BYTES: usize = 32;

fn key(name: &'static str) -> Setting<Option<SecretString>> {
    let read = |text: &str| Ok::<_, String>(SecretString::from(text));
    optional(name, "at least 32 random bytes: `openssl rand -base64 48` prints some", read).secret().in_production(long)
}

fn long(key: &Option<SecretString>) -> Result<(), String> {
    match key.as_ref().map(|key| key.expose_secret().len()) {
        Some(length @ 0..KEY_BYTES) => Err(format!("has {length} bytes, and production needs {KEY_BYTES}")),
        _ => Ok(()),
    }
}

group! {
    /// Tokens and keys as given; [`Secrets`](super::Secrets) completes what is missing.
    Tokens {
        /// Signs access tokens, if given.
        secret_token: Option<SecretString> = key("jwt_secret_token"),
        /// Signs access tokens if the other is not given.
        access_token: Option<SecretString> = key("jwt_access_token"),
        /// Signs refresh tokens.
        refresh_token: Option<SecretString> = key("jwt_refresh_token"),
        /// The `iss` claim.
        issuer: String = text("jwt_issuer", "a name of 1 to 100 characters", values::line),
        /// The `aud` claim, if there is to be one.
        audience: Option<String> = optional("jwt_audience", "a name of 1 to 100 characters", values::line),
        /// Life of an access token.
        access_expires: Duration = span("jwt_access_token_expire_minutes", MINUTE, 1..=24 * 60),
        /// Life of a refresh token.
        refresh_expires: Duration = span("refresh_token_expire_days", DAY, 1..=3650),
        /// How long a replaced refresh token still gets its successor.
        reuse_grace: Duration = span("refresh_reuse_grace_seconds", SECOND, 0..=600),
        /// Seal personal texts.
        data_keys: Option<DataKeys> =
            optional("data_key", "id:base64 of 32 bytes: `echo \"k1:$(openssl rand -base64 32)\"`", DataKeys::parse)
                .secret(),
    }
}

group! {
    /// How passwords are judged and hashed.
    Passwords {
        /// The least score by zxcvbn, 0 to 4.
        min_score: u8 = number("password_min_score", 0..=4),
        /// Argon2id's memory.
        argon2_memory_kib: u32 = number("argon2_memory_kib", 8..=4 * 1024 * 1024),
        /// Argon2id's passes.
        argon2_iterations: u32 = number("argon2_iterations", 1..=100),
        /// Argon2id's lanes.
        argon2_parallelism: u32 = number("argon2_parallelism", 1..=64),
        /// Passwords that may wait.
        hasher_queue: usize = number("hasher_queue", 1..=65_536),
    }
}

group! {
    /// The mail server and whom mails are from.
    Mail {
        /// None: mails are written to files.
        host: Option<String> = optional("smtp_host", "a host name", values::mail_host),
        /// Its port.
        port: u16 = number("smtp_port", 1..=65535),
        /// The sender, and the name to log in with.
        email: Option<String> = optional("smtp_email", "an address such as hello@example.org", values::mail_address),
        /// None: no log-in.
        password: Option<SecretString> =
            optional("smtp_password", "a password", |text| Ok::<_, String>(SecretString::from(text))).secret(),
        /// How it is spoken to.
        tls: SmtpTls = text("smtp_tls", "none, starttls or tls", SmtpTls::parse),
        /// The sender's name.
        from_name: String = text("mail_from_name", "a name of 1 to 100 characters", values::line),
    }
}

const COMPLETIONS: &str = "https://host/v1; without TLS on this machine only";

group! {
    /// Who writes suggestions before the built-in catalogue does.
    Suggestions {
        /// The base of an OpenAI-compatible API; none: the catalogue alone.
        url: Option<Url> = optional("suggestions_url", COMPLETIONS, values::endpoint_url).url(),
        /// The model's name there.
        model: Option<String> = optional("suggestions_model", "a name of 1 to 100 characters", values::line),
        /// None: no log-in there.
        key: Option<SecretString> =
            optional("suggestions_api_key", "a key of printable ASCII characters", values::header_secret).secret(),
    }
}

fn limit(key: &'static str) -> Setting<u32> {
    number(key, 1..=1_000_000)
}

group! {
    /// How often a thing may be tried.
    Limits {
        /// Life of a code, from its sending.
        otp_expires: Duration = span("otp_expire_minutes", MINUTE, 1..=60),
        /// Wrong guesses that end a code.
        code_tries: u32 = limit("limit_code_tries"),
        /// Wrong codes a day, one account and one client address.
        wrong_codes_per_day_per_client: u32 = limit("limit_wrong_codes_per_day_per_client"),
        /// Wrong codes a day, one account.
        wrong_codes_per_day: u32 = limit("limit_wrong_codes_per_day"),
        /// Codes sent, one address and purpose.
        codes_per_10_minutes: u32 = limit("limit_codes_per_10_minutes"),
        /// Of these, caused by one client address.
        codes_per_10_minutes_per_client: u32 = limit("limit_codes_per_10_minutes_per_client"),
        /// Whether the limits below hold.
        rate_limits: bool = switch("rate_limits"),
        /// Failed log-ins, one account and one client address.
        failed_logins_per_10_minutes: u32 = limit("limit_failed_logins_per_10_minutes"),
        /// Failed log-ins, one account, from addresses that never logged in to it.
        failed_logins_per_day_by_strangers: u32 = limit("limit_failed_logins_per_day_by_strangers"),
        /// Anonymous calls under `/auth`, one client address.
        auth_calls_per_minute: u32 = limit("limit_auth_calls_per_minute"),
        /// Registrations, and addresses that are asked to be moved to, one client address.
        registrations_per_hour: u32 = limit("limit_registrations_per_hour"),
        /// Posts, one user.
        posts_per_hour: u32 = limit("limit_posts_per_hour"),
        /// Comments, one user.
        comments_per_hour: u32 = limit("limit_comments_per_hour"),
    }
}
