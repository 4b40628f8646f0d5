//! `faceofmind keys`: by which keys personal texts are sealed, and sealing them anew.

use std::{process::ExitCode, time::Duration};

use faceofmind_actors::{
    keyring::{Keyring, Tally},
    resealing, schema,
};
use faceofmind_kit::{Database, Failure};
use tokio::time::Instant;

use super::{
    StartError,
    commands::{is_missing, say},
    ground,
};
use crate::settings::{Secrets, Settings};

/// What `keys` is to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeysAction {
    /// Tell by which keys everything is sealed.
    Status,
    /// Seal anew what today's key did not seal.
    Rotate,
}

/// Progress is told so often.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Tells by which keys everything is sealed; if asked, after it has been sealed by today's.
pub(crate) async fn keys(settings: &Settings, action: KeysAction) -> Result<ExitCode, StartError> {
    if is_missing(settings) {
        return Ok(ExitCode::SUCCESS);
    }
    let keyring = keyring(settings)?;
    let db = ground::database(settings)?;
    ground::reach(&db).await?;
    let done = look_after(&db, &keyring, action).await;
    db.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

/// The service's own, or none: what a key made here sealed, no service could open.
fn keyring(settings: &Settings) -> Result<Keyring, StartError> {
    let keys = Secrets::data_keys(settings)?;
    Keyring::new(keys.iter().map(|key| (key.id(), key.expose()))).map_err(StartError::part("DATA_KEY"))
}

async fn look_after(db: &Database, keyring: &Keyring, action: KeysAction) -> Result<(), StartError> {
    if schema::status(db).await?.iter().any(|step| !step.applied) {
        return Err(StartError::Outdated);
    }
    if action == KeysAction::Rotate {
        rotate(db, keyring).await?;
    }
    let tallies = resealing::status(db, keyring).await.map_err(Failure::from)?;
    say(&table(keyring, &tallies));
    match (stale(keyring, &tallies), action) {
        (0, _) => {
            say(&format!("`{}` seals everything: no other key of DATA_KEY is needed any more", keyring.current()));
            Ok(())
        }
        (stale, KeysAction::Status) => {
            say(&format!("{stale} texts are not sealed by `{}`: `faceofmind keys rotate` does it", keyring.current()));
            Ok(())
        }
        (stale, KeysAction::Rotate) => Err(StartError::NotRotated(unfinished(keyring, &tallies, stale))),
    }
}

/// The first page is told of at once.
async fn rotate(db: &Database, keyring: &Keyring) -> Result<(), StartError> {
    let mut told: Option<(&'static str, Instant)> = None;
    let tell = |kind: &'static str, tally: &Tally| {
        if told.is_none_or(|(of, at)| of != kind || at.elapsed() >= TELL_EVERY) {
            told = Some((kind, Instant::now()));
            say(&format!("{}: {} looked at, {} sealed anew", kind, tally.seen, tally.rewritten));
        }
    };
    Ok(resealing::rotate(db, keyring, tell).await.map_err(Failure::from)?)
}

/// A line for each kind of text and each key.
fn table(keyring: &Keyring, tallies: &[(&'static str, Tally)]) -> String {
    let mut lines = Vec::new();
    for (kind, tally) in tallies {
        for (key, number) in &tally.by_key {
            let (key, note) = match key {
                Some(id) if id == keyring.current() => (id.as_str(), "  seals today"),
                Some(id) if !keyring.has(id) => (id.as_str(), "  not in DATA_KEY"),
                Some(id) => (id.as_str(), ""),
                None => ("(not sealed)", ""),
            };
            lines.push(format!("{:<12}  {key:<32}  {number:>12}{note}", kind));
        }
    }
    if lines.is_empty() { "nothing is stored that is sealed".to_owned() } else { lines.join("\n") }
}

/// How many texts another key sealed, or none.
fn stale(keyring: &Keyring, tallies: &[(&'static str, Tally)]) -> u64 {
    let by_key = tallies.iter().flat_map(|(_, tally)| &tally.by_key);
    by_key.filter(|(key, _)| key.as_deref() != Some(keyring.current())).map(|(_, number)| number).sum()
}

fn unfinished(keyring: &Keyring, tallies: &[(&'static str, Tally)], stale: u64) -> String {
    let keys = tallies.iter().flat_map(|(_, tally)| tally.by_key.keys().flatten());
    match keys.into_iter().find(|id| !keyring.has(id)) {
        Some(lost) => format!("{stale} texts are left; for some the key `{lost}` is missing: add it to DATA_KEY again"),
        None => format!(
            "{stale} texts are left: if the log does not say that they are damaged, they were in use, or a service at \
             work still seals with another key. Start it with `{}` first in DATA_KEY, and run this again",
            keyring.current()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring() -> Keyring {
        Keyring::new([("k2", [2; 32].as_slice()), ("k1", [1; 32].as_slice())]).expect("keys")
    }

    fn tallies(by_key: &[(Option<&str>, u64)]) -> Vec<(&'static str, Tally)> {
        let by_key = by_key.iter().map(|(key, number)| (key.map(str::to_owned), *number)).collect();
        vec![("voice texts", Tally { by_key, ..Tally::default() })]
    }

    #[test]
    fn each_key_is_told_with_what_it_sealed() {
        let told = table(&keyring(), &tallies(&[(Some("k0"), 1), (Some("k1"), 20), (Some("k2"), 300), (None, 4000)]));
        let words: Vec<_> = told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            words,
            [
                "voice texts (not sealed) 4000",
                "voice texts k0 1 not in DATA_KEY",
                "voice texts k1 20",
                "voice texts k2 300 seals today",
            ]
        );
        assert_eq!(table(&keyring(), &tallies(&[])), "nothing is stored that is sealed");
    }

    #[test]
    fn what_is_left_is_counted_and_a_missing_key_named() {
        let some = tallies(&[(Some("k0"), 1), (Some("k2"), 300), (None, 2)]);
        assert_eq!(stale(&keyring(), &some), 3);
        assert!(unfinished(&keyring(), &some, 3).contains("`k0` is missing"));
        let none = tallies(&[(Some("k2"), 300)]);
        assert_eq!(stale(&keyring(), &none), 0);
        let told = unfinished(&keyring(), &none, 1);
        assert!(["`k2` first", "in use", "run this again"].iter().all(|words| told.contains(words)), "{told}");
    }
}
