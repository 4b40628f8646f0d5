use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::Path};

use super::*;

fn errors_of_file(text: &str) -> String {
    errors_of(Settings::load(&ConfigSources::built_in().with_text(Path::new("fom.toml"), text)))
}

#[test]
fn an_unknown_key_is_reported_with_a_suggestion() {
    assert_eq!(
        errors_of_file("port = 9000\ndatabse_url = \"\""),
        "databse_url (fom.toml, line 2): there is no such setting. Did you mean `database_url`?\n"
    );
    assert!(errors_of_file("PORT = 9000").contains("Did you mean `port`?"));
    assert!(errors_of_file("smtp-host = \"mail\"").contains("Did you mean `smtp_host`?"));
    assert!(errors_of_file("colour = \"red\"").contains("Remove it"));
    assert!(errors_of_file("[http]\nport = 9000").starts_with("http (fom.toml, line 1): there is no such setting."));
}

#[test]
fn all_errors_are_reported_together_each_with_its_layer() {
    let sources = ConfigSources::built_in()
        .with_text(Path::new("fom.toml"), "port = \"9000\"\n\ncolour = \"red\"\nevents_window = 0")
        .with_environment([("SMTP_TLS", "yes"), ("DATA_KEY", "nonsense")])
        .with_arguments([("host", "nowhere".to_owned())]);
    assert_eq!(
        errors_of(Settings::load(&sources)),
        "--host (command line): `nowhere` is not an IP address. Give an IP address or localhost.\n\
         port (fom.toml, line 1): `9000` is written as a TOML string, not as an integer. Give a whole number from 0 to 65535.\n\
         events_window (fom.toml, line 4): `0` is out of range. Give a whole number from 1 to 4096.\n\
         DATA_KEY (environment): the value has a key without an id before a colon. Give id:base64 of 32 bytes: `echo \
         \"k1:$(openssl rand -base64 32)\"`, or nothing.\n\
         SMTP_TLS (environment): `yes` is neither none, starttls nor tls. Give none, starttls or tls.\n\
         colour (fom.toml, line 3): there is no such setting. Remove it; config/default.toml lists all that there are, \
         without sections.\n"
    );
}

#[test]
fn an_error_in_a_file_is_reported_even_if_the_environment_overrides_it() {
    let sources =
        ConfigSources::built_in().with_text(Path::new("fom.toml"), "port = -1").with_environment([("PORT", "9000")]);
    assert!(errors_of(Settings::load(&sources)).starts_with("port (fom.toml, line 1): `-1` is out of range."));
}

#[test]
fn numbers_are_whole_and_within_their_range() {
    for value in ["65536", "-1", "99999999999999999999999"] {
        assert!(errors(&[("PORT", value)]).contains("is out of range"), "{value}");
    }
    for value in ["http", "9000.5", "0x10", "9 000"] {
        assert!(errors(&[("PORT", value)]).contains("is not a whole number"), "{value}");
    }
    assert!(errors_of_file("port = 9000.5").contains("is written as a TOML float"));
}

#[test]
fn an_endpoint_is_named_with_its_model_and_without_its_key() {
    assert!(errors(&[("SUGGESTIONS_URL", "https://api.example.org/v1")]).starts_with("SUGGESTIONS_MODEL ("));
    let with_model = [("SUGGESTIONS_URL", "http://localhost:11434/v1"), ("SUGGESTIONS_MODEL", "small")];
    assert!(Settings::load(&ConfigSources::built_in().with_environment(with_model)).is_ok());
    let errors =
        errors(&[("SUGGESTIONS_URL", "https://:hunter2@api.example.org"), ("SUGGESTIONS_API_KEY", "hunter2 ")]);
    assert!(
        errors.contains("suggestions_api_key") && errors.contains("SUGGESTIONS_API_KEY (environment): the value holds")
    );
    assert!(!errors.contains("hunter2"), "{errors}");
}

#[test]
fn every_kind_of_value_is_validated() {
    for (name, value) in [
        ("FACEOFMIND_ENV", "staging"),
        ("RUST_LOG", "faceofmind=loud"),
        ("DEFAULT_TIME_ZONE", "Asia/Atlantis"),
        ("HOST", "my computer"),
        ("OPERATOR_ADDR", "9001"),
        ("CORS_ORIGINS", "admin.example.org"),
        ("CORS_ORIGINS", "https://*.example.org"),
        ("TRUSTED_PROXIES", "::ffff:10.0.0.0/104"),
        ("NATS_URL", "nats://one:4222/path"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
        ("DATABASE_URL", "mysql://db/fom"),
        ("REDIS_URL", "cache:6379"),
        ("NATS_URL", "nats://one:4222,http://two"),
        ("JWT_ISSUER", "x\u{7}"),
        ("SMTP_HOST", "smtp://mail"),
        ("SMTP_EMAIL", "someone"),
        ("RATE_LIMITS", "maybe"),
        ("ARGON2_PARALLELISM", "0"),
    ] {
        let errors = errors(&[(name, value)]);
        assert!(errors.starts_with(&format!("{name} (environment): ")), "{errors}");
        assert!(errors.contains(". Give "), "{errors}");
    }
}

#[test]
fn no_secret_is_repeated() {
    let errors = errors(&[
        ("DATABASE_URL", "mysql://fom:hunter2@db"),
        ("REDIS_URL", "redis://u:hunter2/x@cache"),
        ("NATS_URL", "nats://one,hunter2@two"),
        ("DATA_KEY", "k1:hunter2"),
    ]);
    assert_eq!(errors.lines().count(), 4);
    assert!(!errors.contains("hunter2"), "{errors}");
    let errors = errors_of_file("jwt_refresh_token = [\"hunter2\"]\nsmtp_password = { is = \"hunter2\" }");
    assert_eq!(errors.lines().count(), 2);
    assert!(!errors.contains("hunter2"), "{errors}");
}

#[test]
fn a_variable_that_is_not_unicode_is_reported() {
    let sources = ConfigSources::built_in().with_environment([("MAIL_FROM_NAME", OsString::from_vec(vec![0xff]))]);
    assert!(errors_of(Settings::load(&sources)).starts_with("MAIL_FROM_NAME (environment): the value is not UTF-8."));
}

#[test]
fn a_file_that_is_not_toml_is_reported_with_its_line_and_without_its_content() {
    let errors = errors_of_file("port = 9000\nsmtp_password = hunter2");
    assert!(errors.starts_with("--config (fom.toml, line 2): not TOML: "), "{errors}");
    assert!(!errors.contains("hunter2"), "{errors}");
}

#[test]
fn a_missing_file_is_reported_with_the_other_errors() {
    let sources = ConfigSources::built_in().with_file(Path::new("/nowhere/fom.toml")).with_environment([("PORT", "x")]);
    let errors = errors_of(Settings::load(&sources));
    assert!(errors.starts_with("--config (/nowhere/fom.toml): the file cannot be read: "), "{errors}");
    assert!(errors.contains("PORT (environment)"), "{errors}");
}

#[test]
fn a_mail_server_needs_a_sender() {
    assert_eq!(
        errors(&[("SMTP_HOST", "mail")]),
        "SMTP_EMAIL (not given): SMTP_HOST needs a sender address. Set it to the address that sends the mails.\n"
    );
    assert!(load(&[("SMTP_HOST", "mail"), ("SMTP_EMAIL", "hello@example.org")]).is_ok());
}

#[test]
fn argon2_needs_memory_for_each_lane() {
    let errors = errors(&[("ARGON2_MEMORY_KIB", "16"), ("ARGON2_PARALLELISM", "4")]);
    assert!(errors.contains("Give at least 32."), "{errors}");
    assert!(load(&[("ARGON2_MEMORY_KIB", "8"), ("ARGON2_ITERATIONS", "1")]).is_ok());
}
