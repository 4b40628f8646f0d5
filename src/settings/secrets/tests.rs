use std::{fs, sync::Barrier, thread};

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::settings::{DataKey, Layers};

const REFRESH: &str = "a refresh secret that was given to us";

fn settings(dir: &Path, given: &[(&str, &str)]) -> Settings {
    let in_dir = [("DATA_DIR", dir.to_str().expect("a plain path"))];
    let layers = Layers::built_in().with_environment(in_dir.iter().chain(given).copied());
    Settings::load(&layers).expect("good settings")
}

fn exposed(secrets: &Secrets) -> (String, String, Vec<u8>) {
    let Secrets { access, refresh, data_keys, .. } = secrets;
    let text = |secret: &SecretString| secret.expose_secret().to_owned();
    (text(access), text(refresh), data_keys.iter().next().expect("a key that seals").expose().to_owned())
}

#[test]
fn missing_secrets_are_made_once_and_read_again() {
    let dir = TempDir::new().expect("a directory");
    let settings = settings(dir.path(), &[]);
    let made = Secrets::obtain(&settings, &Rng::seeded(0)).expect("made");
    let read = Secrets::obtain(&settings, &Rng::seeded(100)).expect("read");
    assert_eq!(exposed(&made), exposed(&read));
    let (access, refresh, data) = exposed(&made);
    assert_ne!(access, refresh);
    assert!(access.len() >= 32 && refresh.len() >= 32);
    assert_eq!(data.len(), 32);
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 1, "no draft is left");
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_what_was_made() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().expect("a directory");
    let data_dir = dir.path().join("data");
    Secrets::obtain(&settings(&data_dir, &[]), &Rng::seeded(0)).expect("made");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&data_dir.join("secrets.toml")), 0o600);
    assert_eq!(mode(&data_dir), 0o700);
}

#[test]
fn what_was_given_goes_before_what_is_in_the_file() {
    let dir = TempDir::new().expect("a directory");
    let made = Secrets::obtain(&settings(dir.path(), &[]), &Rng::seeded(0)).expect("made");
    let given = settings(dir.path(), &[("JWT_REFRESH_TOKEN", REFRESH)]);
    let mixed = Secrets::obtain(&given, &Rng::seeded(100)).expect("read");
    assert_eq!(mixed.refresh.expose_secret(), REFRESH);
    assert_eq!(exposed(&mixed).0, exposed(&made).0);
}

#[test]
fn nothing_is_made_when_all_was_given() {
    let dir = TempDir::new().expect("a directory");
    let data_key = format!("k1:{}=", "A".repeat(43));
    let all = [("JWT_SECRET_TOKEN", "new"), ("JWT_ACCESS_TOKEN", "old"), ("JWT_REFRESH_TOKEN", REFRESH)];
    let given = settings(dir.path(), &[&all[..], &[("DATA_KEY", &data_key)]].concat());
    let secrets = Secrets::obtain(&given, &Rng::seeded(0)).expect("all given");
    assert_eq!(secrets.access.expose_secret(), "new");
    assert_eq!(secrets.access_also.as_ref().map(|also| also.expose_secret()), Some("old"));
    assert_eq!(secrets.data_keys.iter().map(DataKey::id).collect::<Vec<_>>(), ["k1"]);
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 0);
}

#[test]
fn the_access_secret_is_the_second_name_when_the_first_is_not_given() {
    let dir = TempDir::new().expect("a directory");
    let given = settings(dir.path(), &[("JWT_ACCESS_TOKEN", "old")]);
    let secrets = Secrets::obtain(&given, &Rng::seeded(0)).expect("the rest is made");
    assert_eq!(secrets.access.expose_secret(), "old");
    assert!(secrets.access_also.is_none());
}

#[test]
fn data_keys_alone_are_read_and_never_made() {
    let dir = TempDir::new().expect("a directory");
    let missing = dir.path().join("data");
    for nowhere in [dir.path(), missing.as_path()] {
        let told = Secrets::data_keys(&settings(nowhere, &[])).expect_err("there is none").to_string();
        assert!(told.contains("give DATA_KEY or DATA_DIR") && told.contains("secrets.toml"), "{told}");
        assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 0, "nothing is made");
    }
    let data_key = format!("k1:{}=", "A".repeat(43));
    let given = [("DATA_KEY", data_key.as_str())];
    let ids = |given: &[(&str, &str)]| {
        let keys = Secrets::data_keys(&settings(dir.path(), given)).expect("keys");
        keys.iter().map(|key| key.id().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&given), ["k1"], "it needs no other secret");
    let made = Secrets::obtain(&settings(dir.path(), &[]), &Rng::seeded(0)).expect("made");
    let read = Secrets::data_keys(&settings(dir.path(), &[])).expect("read");
    assert_eq!(read.iter().map(DataKey::expose).collect::<Vec<_>>(), [exposed(&made).2]);
    assert_eq!(ids(&given), ["k1"], "what is given goes first");
}

#[test]
fn all_who_start_at_once_get_the_same() {
    let dir = TempDir::new().expect("a directory");
    let settings = settings(dir.path(), &[]);
    let line = Barrier::new(8);
    let obtained = thread::scope(|scope| {
        let start = |seed: u64| {
            let (settings, line) = (&settings, &line);
            scope.spawn(move || {
                line.wait();
                exposed(&Secrets::obtain(settings, &Rng::seeded(seed)).expect("obtained"))
            })
        };
        let started: Vec<_> = (0..8).map(start).collect();
        started.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Vec<_>>()
    });
    assert!(obtained.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_broken_file_is_told_with_what_to_do_and_without_its_content() {
    let dir = TempDir::new().expect("a directory");
    let settings = settings(dir.path(), &[]);
    for content in [
        "",
        "jwt_secret_token = \"hunter2",
        "jwt_secret_token = \"hunter2\"\njwt_refresh_token = \"hunter3\"\ndata_key = \"dev:hunter4\"",
        "jwt_secret_token = \"hunter2\"\njwt_refresh_token = 8472913\ndata_key = \"dev:hunter4\"",
    ] {
        fs::write(dir.path().join("secrets.toml"), content).expect("written");
        let told = Secrets::obtain(&settings, &Rng::seeded(0)).expect_err("broken").to_string();
        assert!(told.contains("secrets.toml") && told.contains("delete it"), "{told}");
        assert!(!told.contains("hunter") && !told.contains("8472913"), "{told}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let dir = TempDir::new().expect("a directory");
    let settings = settings(dir.path(), &[("JWT_REFRESH_TOKEN", REFRESH)]);
    let secrets = Secrets::obtain(&settings, &Rng::seeded(0)).expect("made");
    let printed = format!("{secrets:?}{settings:?}");
    let (access, ..) = exposed(&secrets);
    assert!(!printed.contains(REFRESH) && !printed.contains(&access), "{printed}");
}
