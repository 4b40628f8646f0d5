use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::Path};

use super::*;

fn file(text: &str) -> ConfigSources {
    ConfigSources::built_in().with_text(Path::new("fom.toml"), text)
}

#[test]
fn a_file_overrides_the_defaults_and_the_environment_overrides_the_file() {
    let sources = file("port = 9002\nmail_from_name = \"Ours\"").with_environment([("PORT", "9003")]);
    let settings = Settings::load(&sources).expect("good settings");
    assert_eq!((settings.http.port, settings.mail.from_name.as_str()), (9003, "Ours"));
    assert_eq!(settings.limits.code_tries, 5);
}

#[test]
fn a_file_is_read_from_the_disk() {
    let dir = tempfile::TempDir::new().expect("a directory");
    let path = dir.path().join("fom.toml");
    std::fs::write(&path, "port = 9002").expect("written");
    let settings = Settings::load(&ConfigSources::built_in().with_file(&path)).expect("good settings");
    assert_eq!(settings.http.port, 9002);
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let sources = file("redis_url = \"redis://cache\"").with_environment([("REDIS_URL", ""), ("PORT", "  ")]);
    let settings = Settings::load(&sources).expect("good settings");
    assert!(settings.store.redis_url.is_some());
    assert_eq!(settings.http.port, 9000);
}

#[test]
fn an_empty_operator_address_turns_that_port_off() {
    assert!(good(&[("OPERATOR_ADDR", "")]).http.operator_addr.is_none());
    let in_file = Settings::load(&file("operator_addr = \"\"")).expect("good settings");
    assert!(in_file.http.operator_addr.is_none());
}

#[test]
fn an_empty_text_in_a_file_means_none() {
    let sources = file("jwt_audience = \"\"\nredis_url = \"\"\nnats_url = \"\"\ndatabase_url = \"\"");
    let settings = Settings::load(&sources).expect("good settings");
    assert!(settings.tokens.audience.is_none() && settings.store.redis_url.is_none());
    assert!(settings.events.nats_urls.is_empty() && settings.store.given_url.is_none());
}

#[test]
fn lists_are_arrays_in_files_and_commas_in_the_environment() {
    let shown = |settings: Settings| settings.http.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>();
    let sources = file("trusted_proxies = [\"10.0.0.0/8\", \"fd00::1\"]");
    assert_eq!(shown(Settings::load(&sources).expect("good settings")), ["10.0.0.0/8", "fd00::1/128"]);
    assert_eq!(shown(good(&[("TRUSTED_PROXIES", "10.0.0.0/8, fd00::1")])), ["10.0.0.0/8", "fd00::1/128"]);
    assert_eq!(good(&[("NATS_URL", "nats://one:4222,tls://two:4222")]).events.nats_urls.len(), 2);
}

#[test]
fn switches_are_on_and_off_or_true_and_false() {
    for (written, on) in [("\"off\"", false), ("\"on\"", true), ("false", false), ("true", true)] {
        let settings = Settings::load(&file(&format!("rate_limits = {written}"))).expect("good settings");
        assert_eq!(settings.limits.rate_limits, on);
    }
    assert!(!good(&[("RATE_LIMITS", "off")]).limits.rate_limits);
}

#[test]
fn other_variables_are_ignored() {
    let not_unicode = OsString::from_vec(vec![0xff]);
    let sources = ConfigSources::built_in()
        .with_environment([(OsString::from("PATH"), not_unicode), ("port".into(), "x".into())]);
    assert!(Settings::load(&sources).is_ok());
}

#[test]
fn each_value_has_the_source_it_came_from() {
    let sources =
        file("port = 9002").with_environment([("HOST", "0.0.0.0")]).with_arguments([("port", "0".to_owned())]);
    let (_, effective) = Settings::load_with_sources(&sources).expect("good settings");
    let source = |key: &str| &effective.iter().find(|setting| setting.key == key).expect("known").source;
    assert_eq!(*source("port"), Source::CommandLine);
    assert_eq!(*source("host"), Source::Environment);
    assert_eq!(*source("data_dir"), Source::BuiltIn("config/default.toml"));
}

/// A directory with a `.env` of that text and mode.
fn with_dotenv(text: &str, mode: u32) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::TempDir::new().expect("a directory");
    let path = dir.path().join(".env");
    std::fs::write(&path, text).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
    dir
}

#[test]
fn a_dotenv_file_stands_between_the_file_and_the_environment() {
    let dir = with_dotenv("PORT=9002\nSMTP_PORT=26\nDRAIN_SECONDS=\nPATH=/x\nhost=0.0.0.0\n", 0o600);
    let sources = file("port = 9001\ndrain_seconds = 7\nmail_from_name = \"Ours\"").with_dotenv(dir.path(), |_| None);
    let sources = sources.with_environment([("SMTP_PORT", "27")]);
    let (settings, effective) = Settings::load_with_sources(&sources).expect("good settings");
    assert_eq!((settings.http.port, settings.mail.port, settings.mail.from_name.as_str()), (9002, 27, "Ours"));
    assert_eq!(settings.http.drain.as_secs(), 7, "an empty one counts as not set");
    assert_eq!(settings.http.host.to_string(), "127.0.0.1", "only names in capitals set one");
    assert_eq!(ConfigSources::names_in_dotenv(&effective), ["PORT"]);
    assert!(sources.warnings().is_empty(), "{:?}", sources.warnings());
}

#[test]
fn a_dotenv_file_that_others_can_read_and_its_malformed_lines_are_named_without_values() {
    let dir = with_dotenv("SMTP_PASSWORD hunter2\nPORT=9002\n", 0o640);
    let sources = ConfigSources::built_in().with_dotenv(dir.path(), |_| None);
    assert_eq!(Settings::load(&sources).expect("good settings").http.port, 9002);
    let warnings = sources.warnings().join("\n");
    assert!(warnings.contains("line 1 (.env)") && warnings.contains("chmod 600 .env"), "{warnings}");
    let wrong = sources.with_environment([("FACEOFMIND_ENV", "production")]);
    let errors = errors_of(Settings::load(&wrong));
    assert!(errors.contains("JWT_SECRET_TOKEN (not given)") && errors.contains("line 1 (.env)"), "{errors}");
    assert!(!errors.contains("hunter2") && !warnings.contains("hunter2"));
}

/// It could name another database.
#[test]
fn a_dotenv_file_that_every_user_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let (writable, in_open_directory) = (with_dotenv("PORT=9002\n", 0o602), with_dotenv("PORT=9002\n", 0o600));
    std::fs::set_permissions(in_open_directory.path(), std::fs::Permissions::from_mode(0o1777)).expect("set");
    for dir in [writable, in_open_directory] {
        let errors = errors_of(Settings::load(&ConfigSources::built_in().with_dotenv(dir.path(), |_| None)));
        assert!(errors.contains("every user of this machine can write it"), "{errors}");
    }
}

#[test]
fn an_invalid_value_of_a_dotenv_file_is_named_by_its_line() {
    let dir = with_dotenv("# ports\nPORT=many\n", 0o600);
    let errors = errors_of(Settings::load(&ConfigSources::built_in().with_dotenv(dir.path(), |_| None)));
    assert!(errors.contains("PORT (.env, line 2): `many` is not a whole number"), "{errors}");
}

#[test]
fn a_directory_called_dotenv_is_ignored_and_a_file_that_is_not_text_is_not() {
    let dir = tempfile::TempDir::new().expect("a directory");
    assert!(Settings::load(&ConfigSources::built_in().with_dotenv(dir.path(), |_| None)).is_ok());
    std::fs::create_dir(dir.path().join(".env")).expect("created");
    assert!(Settings::load(&ConfigSources::built_in().with_dotenv(dir.path(), |_| None)).is_ok());
    std::fs::remove_dir(dir.path().join(".env")).expect("removed");
    std::fs::write(dir.path().join(".env"), b"PORT=\xff").expect("written");
    let errors = errors_of(Settings::load(&ConfigSources::built_in().with_dotenv(dir.path(), |_| None)));
    assert!(errors.contains(".env (working directory): the file cannot be read"), "{errors}");
}
