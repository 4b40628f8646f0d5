//! Every setting: its field, its key and its accepted values. `config/default.toml` has the purposes and the defaults, in the same order.

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
    reader::{ConfigReader, environment},
    secret_url::SecretUrl,
    setting::{Setting, boolean, duration, list, number, optional, text},
    values::{self, CorsOrigins, DatabaseUrl, Environment, SmtpTls},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Declares a struct of settings from lines `field: Type = setting`. Its `read` reads all settings before it fails, so that all problems
/// are reported together.
macro_rules! group {
    ($(#[$about:meta])* $name:ident { $($(#[$field_about:meta])* $field:ident: $type:ty = $setting:expr,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug)]
        pub struct $name { $($(#[$field_about])* pub $field: $type,)* }

        impl $name {
            pub(super) fn read(from: &mut ConfigReader<'_>) -> Option<Self> {
                $(let $field: Option<$type> = from.read($setting);)*
                Some(Self { $($field: $field?,)* })
            }
        }
    };
}

group! {
    /// The environment, the data directory, logs and time.
    Service {
        /// Development or production.
        environment: Environment = environment(),
        /// The directory of all files that the service writes.
        data_dir: PathBuf = text("data_dir", "the path of a directory", values::path),
        /// A filter in the syntax of `tracing_subscriber::EnvFilter`.
        log_filter: String = text("rust_log", "a level, or directives such as `info,sqlx=warn`", values::log_filter),
        /// Where days begin when neither the request nor the user names a time zone.
        default_time_zone: TimeZone = text("default_time_zone", "a name such as Asia/Manila", values::time_zone),
    }
}

group! {
    /// The public port and the operators' port.
    Http {
        /// The address of the public port.
        host: IpAddr = text("host", "an IP address or localhost", values::host),
        /// The public port; 0 takes any free port.
        port: u16 = number("port", 0..=65535),
        /// Where `/metrics` is served; `None` turns it off.
        operator_addr: Option<SocketAddr> =
            optional("operator_addr", "an address such as 127.0.0.1:9001", values::socket_address).allow_empty(),
        /// Where the links of mails lead; `None`: to the address of the public port.
        public_url: Option<Url> = optional("public_url", "https://host, where clients reach the service", values::public_url).url(),
        /// The web origins that may call the API.
        cors_origins: CorsOrigins = text("cors_origins", "origins, * or none", CorsOrigins::parse).listed(),
        /// The proxies whose `X-Forwarded-For` is trusted.
        trusted_proxies: Vec<IpNet> = list("trusted_proxies", "networks such as 10.0.0.0/8", values::network),
        /// The maximal size of a request body in bytes.
        body_limit: usize = number("body_limit_bytes", 1024..=64 * 1024 * 1024),
        /// The time in which a request's head must arrive.
        header_timeout: Duration = duration("header_timeout_seconds", SECOND, 1..=300),
        /// The time in which a request must be answered.
        request_timeout: Duration = duration("request_timeout_seconds", SECOND, 1..=600),
        /// How long a service that stops goes on serving while `/ready` answers 503.
        drain: Duration = duration("drain_seconds", SECOND, 0..=300),
        /// The time in which the service must stop.
        shutdown_timeout: Duration = duration("shutdown_timeout_seconds", SECOND, 1..=600),
    }
}

const DATABASE: &str = "postgres://user:password@host/name or sqlite:PATH";

fn redis(text: &str) -> Result<SecretUrl, String> {
    SecretUrl::parse(text, &["redis", "rediss"])
}

group! {
    /// The database and Redis. [`Settings::database_url`](super::Settings::database_url) completes the URL.
    Store {
        /// `None`: the SQLite file in the data directory.
        given_url: Option<DatabaseUrl> = optional("database_url", DATABASE, DatabaseUrl::parse).url(),
        /// The maximal number of connections in the pool.
        max_connections: u32 = number("database_max_connections", 1..=1000),
        /// The number of prepared statements that a connection caches; 0 turns the cache off.
        statement_cache: usize = number("database_statement_cache", 0..=10_000),
        /// Holds one-time codes and rate limits; `None`: they are in the database.
        redis_url: Option<SecretUrl> = optional("redis_url", "redis://host:6379 or rediss://…", redis).url(),
    }
}

fn nats(text: &str) -> Result<SecretUrl, String> {
    let url = SecretUrl::parse(text, &["nats", "tls"])?;
    let has_path = Url::parse(text).is_ok_and(|url| !["", "/"].contains(&url.path()) || url.query().is_some());
    if has_path {
        Err("has more after the port, which is not taken: give host and port alone".to_owned())
    } else {
        Ok(url)
    }
}

group! {
    /// The outbox and NATS.
    Events {
        /// The servers of one NATS cluster; empty: events stay in the process.
        nats_urls: Vec<SecretUrl> = list("nats_url", "nats://host:4222 or tls://…, comma-separated", nats).url(),
        /// The file with the credentials for NATS.
        nats_creds_file: Option<PathBuf> = optional("nats_creds_file", "the path of a file", values::path),
        /// The time for which a published event stays in the outbox, with NATS at least as long as in the stream.
        retention: Duration = duration("events_retention_hours", HOUR, 1..=8760),
        /// The maximal number of publishes that await their acknowledgement.
        window: usize = number("events_window", 1..=4096),
        /// The time for which an event stays in the stream.
        stream_age: Duration = duration("events_stream_days", DAY, 1..=3650),
        /// The time for which JetStream drops an event with a known id.
        dedupe: Duration = duration("events_dedupe_seconds", SECOND, 1..=86_400),
    }
}

/// An HMAC key of fewer bytes is weaker than its hash (RFC 7518 §3.2).
const MIN_KEY_BYTES: usize = 32;

fn key(name: &'static str) -> Setting<Option<SecretString>> {
    let read = |text: &str| Ok::<_, String>(SecretString::from(text));
    optional(name, "at least 32 random bytes: `openssl rand -base64 48` prints some", read)
        .secret()
        .in_production(is_long_enough)
}

fn is_long_enough(key: &Option<SecretString>) -> Result<(), String> {
    match key.as_ref().map(|key| key.expose_secret().len()) {
        Some(length @ 0..MIN_KEY_BYTES) => Err(format!("has {length} bytes, and production needs {MIN_KEY_BYTES}")),
        _ => Ok(()),
    }
}

group! {
    /// Tokens and keys as given. [`Secrets`](super::Secrets) adds the generated ones.
    Tokens {
        /// Signs access tokens.
        secret_token: Option<SecretString> = key("jwt_secret_token"),
        /// Signs access tokens if `secret_token` is not given, and verifies them.
        access_token: Option<SecretString> = key("jwt_access_token"),
        /// Signs refresh tokens.
        refresh_token: Option<SecretString> = key("jwt_refresh_token"),
        /// The `iss` claim.
        issuer: String = text("jwt_issuer", "a name of 1 to 100 characters", values::line),
        /// The `aud` claim; `None`: tokens have none.
        audience: Option<String> = optional("jwt_audience", "a name of 1 to 100 characters", values::line),
        /// The lifetime of an access token.
        access_expires: Duration = duration("jwt_access_token_expire_minutes", MINUTE, 1..=24 * 60),
        /// The lifetime of a refresh token.
        refresh_expires: Duration = duration("refresh_token_expire_days", DAY, 1..=3650),
        /// The time for which a replaced refresh token still gets its successor.
        reuse_grace: Duration = duration("refresh_reuse_grace_seconds", SECOND, 0..=600),
        /// Encrypt personal texts.
        data_keys: Option<DataKeys> =
            optional("data_key", "id:base64 of 32 bytes: `echo \"k1:$(openssl rand -base64 32)\"`", DataKeys::parse)
                .secret(),
    }
}

group! {
    /// The password policy and the cost of Argon2id.
    Passwords {
        /// The minimal score by zxcvbn, 0 to 4.
        min_score: u8 = number("password_min_score", 0..=4),
        /// The memory of one hash in KiB.
        argon2_memory_kib: u32 = number("argon2_memory_kib", 8..=4 * 1024 * 1024),
        /// The passes over the memory.
        argon2_iterations: u32 = number("argon2_iterations", 1..=100),
        /// The lanes of the memory.
        argon2_parallelism: u32 = number("argon2_parallelism", 1..=64),
        /// The maximal number of passwords in the queue.
        hasher_queue: usize = number("hasher_queue", 1..=65_536),
    }
}

group! {
    /// The mail server and the sender of mails.
    Mail {
        /// `None`: mails are written to files.
        host: Option<String> = optional("smtp_host", "a host name", values::mail_host),
        /// The port of the mail server.
        port: u16 = number("smtp_port", 1..=65535),
        /// The sender's address and the user name at the mail server.
        email: Option<String> = optional("smtp_email", "an address such as hello@example.org", values::mail_address),
        /// `None`: no authentication at the mail server.
        password: Option<SecretString> =
            optional("smtp_password", "a password", |text| Ok::<_, String>(SecretString::from(text))).secret(),
        /// The encryption of the connection.
        tls: SmtpTls = text("smtp_tls", "none, starttls or tls", SmtpTls::parse),
        /// The sender's display name.
        from_name: String = text("mail_from_name", "a name of 1 to 100 characters", values::line),
    }
}

const COMPLETIONS: &str = "https://host/v1; without TLS on this machine only";

group! {
    /// An API that writes suggestions.
    Suggestions {
        /// The base URL of an OpenAI-compatible API; `None`: the built-in catalogue writes all suggestions.
        url: Option<Url> = optional("suggestions_url", COMPLETIONS, values::endpoint_url).url(),
        /// The model's name at that API.
        model: Option<String> = optional("suggestions_model", "a name of 1 to 100 characters", values::line),
        /// `None`: no authentication at that API.
        key: Option<SecretString> =
            optional("suggestions_api_key", "a key of printable ASCII characters", values::header_secret).secret(),
    }
}

fn limit(key: &'static str) -> Setting<u32> {
    number(key, 1..=1_000_000)
}

group! {
    /// One-time codes and rate limits.
    Limits {
        /// The lifetime of a code, counted from its sending.
        otp_expires: Duration = duration("otp_expire_minutes", MINUTE, 1..=60),
        /// The wrong attempts after which a code is void.
        code_tries: u32 = limit("limit_code_tries"),
        /// Wrong codes a day for one account from one client address.
        wrong_codes_per_day_per_client: u32 = limit("limit_wrong_codes_per_day_per_client"),
        /// Wrong codes a day for one account from strangers.
        wrong_codes_per_day: u32 = limit("limit_wrong_codes_per_day"),
        /// Wrong codes a day from one client address for all accounts that do not know it.
        wrong_codes_per_day_of_client: u32 = limit("limit_wrong_codes_per_day_of_client"),
        /// Codes sent to one e-mail address for one purpose.
        codes_per_10_minutes: u32 = limit("limit_codes_per_10_minutes"),
        /// Of these, codes that one client address requested.
        codes_per_10_minutes_per_client: u32 = limit("limit_codes_per_10_minutes_per_client"),
        /// Whether the limits below are enforced.
        rate_limits: bool = boolean("rate_limits"),
        /// Failed logins for one account from one client address.
        failed_logins_per_10_minutes: u32 = limit("limit_failed_logins_per_10_minutes"),
        /// Failed logins for one account from client addresses that never logged in to it.
        failed_logins_per_day_by_strangers: u32 = limit("limit_failed_logins_per_day_by_strangers"),
        /// Calls under `/auth` without a token from one client address.
        auth_calls_per_minute: u32 = limit("limit_auth_calls_per_minute"),
        /// Registrations and requests to change the e-mail address, from one client address.
        registrations_per_hour: u32 = limit("limit_registrations_per_hour"),
        /// Posts of one user.
        posts_per_hour: u32 = limit("limit_posts_per_hour"),
        /// Comments of one user.
        comments_per_hour: u32 = limit("limit_comments_per_hour"),
        /// Megabytes of request bodies of one user.
        megabytes_per_day: u32 = limit("limit_megabytes_per_day"),
    }
}
