use super::*;

const ACCESS: &str = "an access secret of at least 32 bytes";
const REFRESH: &str = "a refresh secret of at least 32 bytes";
const DATA_KEY: &str = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const GIVEN: [(&str, &str); 4] = [
    ("FACEOFMIND_ENV", "production"),
    ("JWT_SECRET_TOKEN", ACCESS),
    ("JWT_REFRESH_TOKEN", REFRESH),
    ("DATA_KEY", DATA_KEY),
];

/// Loads the settings like a binary without test hooks, so that these tests also pass with that feature.
fn in_production(more: &[(&str, &str)]) -> Result<Settings, Vec<SettingError>> {
    let environment = GIVEN.iter().chain(more).copied();
    Settings::read(&ConfigSources::built_in().with_environment(environment), false).map(|(settings, _)| settings)
}

fn errors_in_production(more: &[(&str, &str)]) -> String {
    errors_of(in_production(more))
}

#[test]
fn production_starts_when_its_secrets_are_given() {
    let settings = in_production(&[]).expect("all given");
    assert!(settings.service.environment.is_production());
    assert_eq!(settings.passwords.min_score, 2);
    assert_eq!(settings.http.cors_origins, CorsOrigins::Only(Vec::new()));
    assert!(settings.missing_secrets().is_empty());
}

#[test]
fn given_settings_override_those_of_production() {
    let settings = in_production(&[("PASSWORD_MIN_SCORE", "3"), ("CORS_ORIGINS", "https://admin.example.org")]);
    let settings = settings.expect("all given");
    assert_eq!(settings.passwords.min_score, 3);
    assert_eq!(settings.http.cors_origins, CorsOrigins::Only(vec!["https://admin.example.org".to_owned()]));
}

#[test]
fn a_file_can_choose_production_and_production_toml_is_such_a_file() {
    let path = "config/production.toml".as_ref();
    let sources =
        ConfigSources::built_in().with_text(path, layers::PRODUCTION.1).with_environment(GIVEN[1..].iter().copied());
    let (settings, _) = Settings::read(&sources, false).expect("all given");
    assert!(settings.service.environment.is_production());
}

#[test]
fn all_missing_secrets_are_reported_together() {
    let sources = ConfigSources::built_in().with_environment([("FACEOFMIND_ENV", "production"), ("PORT", "x")]);
    let errors = errors_of(Settings::read(&sources, false));
    for name in ["JWT_SECRET_TOKEN", "JWT_REFRESH_TOKEN", "DATA_KEY"] {
        assert!(errors.contains(&format!("{name} (not given): production generates no secret")), "{errors}");
    }
    assert!(errors.contains("PORT (environment)"), "{errors}");
}

#[test]
fn either_name_of_the_access_secret_is_enough() {
    let other = [("JWT_SECRET_TOKEN", ""), ("JWT_ACCESS_TOKEN", ACCESS)];
    let sources = ConfigSources::built_in().with_environment([&[GIVEN[0], GIVEN[2], GIVEN[3]], &other[..]].concat());
    assert!(Settings::read(&sources, false).is_ok());
}

#[test]
fn short_secrets_are_refused() {
    assert_eq!(
        errors_in_production(&[("JWT_ACCESS_TOKEN", "31 bytes, which is one too few."), ("JWT_REFRESH_TOKEN", "x")]),
        "JWT_ACCESS_TOKEN (environment): the value has 31 bytes, and production needs 32. Give at least 32 random bytes: \
         `openssl rand -base64 48` prints some, or nothing.\n\
         JWT_REFRESH_TOKEN (environment): the value has 1 bytes, and production needs 32. Give at least 32 random bytes: \
         `openssl rand -base64 48` prints some, or nothing.\n"
    );
    assert!(load(&[("JWT_REFRESH_TOKEN", "x")]).is_ok(), "development accepts a short secret");
}

#[test]
fn equal_secrets_are_refused() {
    assert_eq!(
        errors_in_production(&[("JWT_REFRESH_TOKEN", ACCESS), ("JWT_ACCESS_TOKEN", ACCESS)]),
        "JWT_ACCESS_TOKEN (environment): holds a secret that JWT_SECRET_TOKEN holds already. Give each its own.\n\
         JWT_REFRESH_TOKEN (environment): holds a secret that JWT_SECRET_TOKEN holds already. Give each its own.\n"
    );
    let (_, key) = DATA_KEY.split_once(':').expect("id and key");
    assert!(errors_in_production(&[("JWT_REFRESH_TOKEN", key)]).contains("DATA_KEY (environment): holds a secret"));
    let twice = format!("{DATA_KEY},k2:{key}");
    assert!(errors_in_production(&[("DATA_KEY", &twice)]).contains("holds a secret that DATA_KEY holds already"));
}

#[test]
fn test_hooks_are_refused_in_production_only() {
    let sources = ConfigSources::built_in().with_environment(GIVEN);
    let errors = errors_of(Settings::read(&sources, true));
    assert!(
        errors.starts_with("FACEOFMIND_ENV (environment): this binary was built with the feature `test-hooks`"),
        "{errors}"
    );
    assert!(Settings::read(&ConfigSources::built_in(), true).is_ok());
}

#[test]
fn hashing_is_at_least_as_strong_as_owasp_asks() {
    for (memory, iterations) in [("7167", "9"), ("7168", "4"), ("19456", "1"), ("8", "2")] {
        let errors = errors_in_production(&[("ARGON2_MEMORY_KIB", memory), ("ARGON2_ITERATIONS", iterations)]);
        assert!(errors.starts_with("ARGON2_MEMORY_KIB (environment): "), "{errors}");
    }
    for (memory, iterations) in [("7168", "5"), ("12288", "3"), ("47104", "1")] {
        assert!(in_production(&[("ARGON2_MEMORY_KIB", memory), ("ARGON2_ITERATIONS", iterations)]).is_ok());
    }
}

#[test]
fn risky_settings_cause_warnings() {
    assert!(good(&[]).warnings().is_empty());
    let warnings = |settings: Settings| settings.warnings().join("\n");
    assert!(warnings(good(&[("OPERATOR_ADDR", "0.0.0.0:9001")])).contains("without log-in"));
    assert!(
        warnings(good(&[("DATABASE_URL", "postgres://db/fom")]))
            .contains("JWT_SECRET_TOKEN, JWT_REFRESH_TOKEN, DATA_KEY")
    );
    assert!(!warnings(good(&[("DATABASE_URL", "sqlite:other.db")])).contains("not given"));
    assert!(warnings(good(&[("SMTP_TLS", "none"), ("SMTP_PASSWORD", "x")])).contains("unencrypted"));
    assert!(warnings(in_production(&[("RATE_LIMITS", "off")]).expect("all given")).contains("RATE_LIMITS"));
    assert!(warnings(in_production(&[]).expect("all given")).contains("users get no codes"));
}

#[test]
fn debug_shows_no_secret() {
    let secret = "hunter2 hunter2 hunter2 hunter2 hunter2";
    let settings = in_production(&[
        ("JWT_ACCESS_TOKEN", secret),
        ("SMTP_PASSWORD", secret),
        ("SUGGESTIONS_API_KEY", "hunter2"),
        ("DATABASE_URL", "postgres://fom:hunter2@db/fom"),
        ("REDIS_URL", "redis://:hunter2@cache"),
        ("NATS_URL", "nats://hunter2@bus:4222"),
    ]);
    let settings = settings.expect("all given");
    let printed = format!("{settings:?}{settings:#?}{}{:?}", settings.summary(), settings.database_url());
    for secret in ["hunter2", ACCESS, REFRESH, "AQEB"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    assert!(printed.contains("postgres://fom:***@db/fom"), "{printed}");
}
