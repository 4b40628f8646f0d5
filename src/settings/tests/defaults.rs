use std::{path::Path, time::Duration};

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn the_service_starts_with_nothing_set() {
    let Settings { service, http, store, events, mail, suggestions, .. } = good(&[]);
    assert_eq!(service.environment, Environment::Development);
    assert_eq!(service.data_dir, Path::new("data"));
    assert_eq!(service.log_filter, "info,ractor=warn,salvo_core=warn,async_nats=warn,sqlx=warn");
    assert_eq!(service.default_time_zone.iana_name(), Some("Asia/Manila"));
    assert_eq!((http.host.to_string(), http.port), ("127.0.0.1".to_owned(), 9000));
    assert_eq!(http.operator_addr.map(|address| address.to_string()), Some("127.0.0.1:9001".to_owned()));
    assert_eq!(http.cors_origins, CorsOrigins::Any);
    assert!(http.trusted_proxies.is_empty());
    assert_eq!(http.body_limit, 1 << 20);
    assert_eq!((http.header_timeout, http.request_timeout), (10 * SECOND, 30 * SECOND));
    assert_eq!((http.drain, http.shutdown_timeout), (Duration::ZERO, 8 * SECOND));
    assert_eq!((store.max_connections, store.statement_cache), (16, 100));
    assert!(store.redis_url.is_none() && events.nats_urls.is_empty() && events.nats_creds_file.is_none());
    assert_eq!((events.retention, events.window, events.dedupe, events.stream_age), (DAY, 256, 120 * SECOND, 7 * DAY));
    assert!(mail.host.is_none() && mail.email.is_none() && mail.password.is_none());
    assert!(suggestions.url.is_none() && suggestions.model.is_none() && suggestions.key.is_none());
    assert_eq!((mail.port, mail.tls, mail.from_name.as_str()), (587, SmtpTls::Starttls, "FaceofMind"));
}

#[test]
fn tokens_and_passwords_are_as_the_contract_says() {
    let Settings { tokens, passwords, .. } = good(&[]);
    assert!(tokens.secret_token.is_none() && tokens.access_token.is_none() && tokens.refresh_token.is_none());
    assert!(tokens.data_keys.is_none() && tokens.audience.is_none());
    assert_eq!(tokens.issuer, "faceofmind");
    assert_eq!((tokens.access_expires, tokens.refresh_expires), (30 * MINUTE, 30 * DAY));
    assert_eq!(tokens.reuse_grace, 10 * SECOND);
    assert_eq!((passwords.min_score, passwords.hasher_queue), (0, 256));
    let argon2 = (passwords.argon2_memory_kib, passwords.argon2_iterations, passwords.argon2_parallelism);
    assert_eq!(argon2, (19_456, 2, 1));
}

#[test]
fn limits_are_as_the_contract_says() {
    let limits = good(&[]).limits;
    assert_eq!((limits.otp_expires, limits.code_tries), (5 * MINUTE, 5));
    assert_eq!((limits.wrong_codes_per_day_per_client, limits.wrong_codes_per_day), (20, 80));
    assert_eq!(limits.wrong_codes_per_day_of_client, 50);
    assert_eq!((limits.codes_per_10_minutes, limits.codes_per_10_minutes_per_client), (3, 2));
    assert!(limits.rate_limits);
    assert_eq!((limits.failed_logins_per_10_minutes, limits.failed_logins_per_day_by_strangers), (10, 100));
    assert_eq!((limits.auth_calls_per_minute, limits.registrations_per_hour), (300, 60));
    assert_eq!((limits.posts_per_hour, limits.comments_per_hour), (30, 120));
    assert_eq!(limits.megabytes_per_day, 100);
}

#[test]
fn the_database_is_in_the_data_directory_unless_another_is_set() {
    let path = |settings: Settings| match settings.database_url() {
        DatabaseUrl::Sqlite(path) => path,
        DatabaseUrl::Postgres(url) => panic!("not a file: {url}"),
    };
    assert_eq!(path(good(&[("DATA_DIR", "/var/fom")])), Path::new("/var/fom/faceofmind.db"));
    assert_eq!(path(good(&[("DATABASE_URL", "sqlite:other.db")])), Path::new("other.db"));
}

/// The keys of default.toml in the order of its lines.
pub(super) fn keys_of_default_toml() -> Vec<String> {
    let lines = layers::DEFAULT.1.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| Some(line.split_once(" = ")?.0.to_owned())).collect()
}

#[test]
fn default_toml_has_exactly_the_keys_that_the_code_reads_in_the_same_order() {
    let (_, effective) = Settings::load_with_sources(&ConfigSources::built_in()).expect("the defaults");
    assert_eq!(effective.iter().map(|setting| setting.key).collect::<Vec<_>>(), keys_of_default_toml());
}

#[test]
fn every_name_that_other_tools_rely_on_is_known() {
    let known = keys_of_default_toml();
    for name in "PORT HOST FACEOFMIND_ENV DATA_DIR DATABASE_URL DATABASE_MAX_CONNECTIONS REDIS_URL NATS_URL \
                 JWT_SECRET_TOKEN JWT_ACCESS_TOKEN JWT_REFRESH_TOKEN JWT_AUDIENCE JWT_ACCESS_TOKEN_EXPIRE_MINUTES \
                 DATA_KEY SMTP_HOST SMTP_PORT SMTP_EMAIL SMTP_PASSWORD SMTP_TLS CORS_ORIGINS TRUSTED_PROXIES \
                 OPERATOR_ADDR RUST_LOG BODY_LIMIT_BYTES REFRESH_REUSE_GRACE_SECONDS REFRESH_TOKEN_EXPIRE_DAYS \
                 PASSWORD_MIN_SCORE RATE_LIMITS"
        .split_whitespace()
    {
        assert!(known.contains(&name.to_lowercase()), "{name}");
    }
}
