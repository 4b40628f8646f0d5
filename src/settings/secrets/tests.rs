use std::{fs, sync::Barrier, thread};

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::settings::{ConfigSources, DataKey, Settings};

const REFRESH: &str = "a given refresh secret";

fn settings(dir: &Path, given: &[(&str, &str)]) -> Settings {
    let in_dir = [("DATA_DIR", dir.to_str().expect("a plain path"))];
    let sources = ConfigSources::built_in().with_environment(in_dir.iter().chain(given).copied());
    Settings::load(&sources).expect("good settings")
}

fn load(settings: &Settings, seed: u64) -> Result<Secrets, SecretsError> {
    Secrets::load_or_generate(&settings.tokens, &settings.service.data_dir, &Rng::seeded(seed))
}

fn data_keys(settings: &Settings) -> Result<DataKeys, SecretsError> {
    Secrets::data_keys(&settings.tokens, &settings.service.data_dir)
}

fn exposed(secrets: &Secrets) -> (String, String, Vec<u8>) {
    let Secrets { access, refresh, data_keys, .. } = secrets;
    let text = |secret: &SecretString| secret.expose_secret().to_owned();
    (text(access), text(refresh), data_keys.iter().next().expect("a key that encrypts").expose().to_owned())
}

#[test]
fn missing_secrets_are_generated_once_and_read_again() {
    let dir = TempDir::new().expect("a directory");
    let settings = settings(dir.path(), &[]);
    let generated = load(&settings, 0).expect("generated");
    let read = load(&settings, 100).expect("read");
    assert_eq!(exposed(&generated), exposed(&read));
    let (access, refresh, data) = exposed(&generated);
    assert_ne!(access, refresh);
    assert!(access.len() >= 32 && refresh.len() >= 32);
    assert_eq!(data.len(), 32);
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 1, "no draft is left");
}

#[cfg(unix)]
#[test]
fn other_users_cannot_read_the_generated_secrets() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().expect("a directory");
    let data_dir = dir.path().join("data");
    load(&settings(&data_dir, &[]), 0).expect("generated");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&data_dir.join("secrets.toml")), 0o600);
    assert_eq!(mode(&data_dir), 0o700);
}

#[test]
fn given_secrets_override_those_of_the_file() {
    let dir = TempDir::new().expect("a directory");
    let generated = load(&settings(dir.path(), &[]), 0).expect("generated");
    let given = settings(dir.path(), &[("JWT_REFRESH_TOKEN", REFRESH)]);
    let mixed = load(&given, 100).expect("read");
    assert_eq!(mixed.refresh.expose_secret(), REFRESH);
    assert_eq!(exposed(&mixed).0, exposed(&generated).0);
}

#[test]
fn nothing_is_generated_when_all_secrets_are_given() {
    let dir = TempDir::new().expect("a directory");
    let data_key = format!("k1:{}=", "A".repeat(43));
    let all = [("JWT_SECRET_TOKEN", "new"), ("JWT_ACCESS_TOKEN", "old"), ("JWT_REFRESH_TOKEN", REFRESH)];
    let given = settings(dir.path(), &[&all[..], &[("DATA_KEY", &data_key)]].concat());
    let secrets = load(&given, 0).expect("all given");
    assert_eq!(secrets.access.expose_secret(), "new");
    assert_eq!(secrets.access_also.as_ref().map(|also| also.expose_secret()), Some("old"));
    assert_eq!(secrets.data_keys.iter().map(DataKey::id).collect::<Vec<_>>(), ["k1"]);
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 0);
}

#[test]
fn the_access_secret_is_the_second_name_when_the_first_is_not_given() {
    let dir = TempDir::new().expect("a directory");
    let given = settings(dir.path(), &[("JWT_ACCESS_TOKEN", "old")]);
    let secrets = load(&given, 0).expect("the others are generated");
    assert_eq!(secrets.access.expose_secret(), "old");
    assert!(secrets.access_also.is_none());
}

#[test]
fn data_keys_alone_are_read_and_never_generated() {
    let dir = TempDir::new().expect("a directory");
    let missing = dir.path().join("data");
    for nowhere in [dir.path(), missing.as_path()] {
        let error = data_keys(&settings(nowhere, &[])).expect_err("there is none").to_string();
        assert!(error.contains("give the service's DATA_KEY or DATA_DIR") && error.contains("secrets.toml"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 0, "nothing is generated");
    }
    let data_key = format!("k1:{}=", "A".repeat(43));
    let given = [("DATA_KEY", data_key.as_str())];
    let ids = |given: &[(&str, &str)]| {
        let keys = data_keys(&settings(dir.path(), given)).expect("keys");
        keys.iter().map(|key| key.id().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&given), ["k1"], "it needs no other secret");
    let generated = load(&settings(dir.path(), &[]), 0).expect("generated");
    let read = data_keys(&settings(dir.path(), &[])).expect("read");
    assert_eq!(read.iter().map(DataKey::expose).collect::<Vec<_>>(), [exposed(&generated).2]);
    assert_eq!(ids(&given), ["k1"], "a given key overrides the file");
}

#[test]
fn processes_that_start_at_once_get_the_same_secrets() {
    let dir = TempDir::new().expect("a directory");
    let settings = settings(dir.path(), &[]);
    let barrier = Barrier::new(8);
    let loaded = thread::scope(|scope| {
        let start = |seed: u64| {
            let (settings, barrier) = (&settings, &barrier);
            scope.spawn(move || {
                barrier.wait();
                exposed(&load(settings, seed).expect("loaded"))
            })
        };
        let started: Vec<_> = (0..8).map(start).collect();
        started.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Vec<_>>()
    });
    assert!(loaded.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn the_error_about_a_broken_file_has_a_remedy_and_no_secret() {
    let dir = TempDir::new().expect("a directory");
    let settings = settings(dir.path(), &[]);
    for content in [
        "",
        "jwt_secret_token = \"hunter2",
        "jwt_secret_token = \"hunter2\"\njwt_refresh_token = \"hunter3\"\ndata_key = \"dev:hunter4\"",
        "jwt_secret_token = \"hunter2\"\njwt_refresh_token = 8472913\ndata_key = \"dev:hunter4\"",
    ] {
        fs::write(dir.path().join("secrets.toml"), content).expect("written");
        let error = load(&settings, 0).expect_err("broken").to_string();
        assert!(error.contains("secrets.toml") && error.contains("delete it"), "{error}");
        assert!(!error.contains("hunter") && !error.contains("8472913"), "{error}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let dir = TempDir::new().expect("a directory");
    let settings = settings(dir.path(), &[("JWT_REFRESH_TOKEN", REFRESH)]);
    let secrets = load(&settings, 0).expect("generated");
    let printed = format!("{secrets:?}{settings:?}");
    let (access, ..) = exposed(&secrets);
    assert!(!printed.contains(REFRESH) && !printed.contains(&access), "{printed}");
}
