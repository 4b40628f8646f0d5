//! `faceofmind keys`: shows which keys encrypt personal texts, and rotates them.

use std::{process::ExitCode, time::Duration};

use faceofmind_db::Database;
use faceofmind_platform::encryption::{Keyring, RotationStats};
use faceofmind_system::key_rotation;
use tokio::time::Instant;

use super::{
    StartError,
    commands::{check_schema, existing_database, println_stdout},
};
use crate::settings::{Secrets, Settings};

/// The action of `keys`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeysAction {
    /// Show how many texts each key encrypts.
    Status,
    /// Encrypt all texts with the current key.
    Rotate,
}

/// The time between two lines of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Prints how many texts each key encrypts, after a rotation if that is the action.
pub(crate) async fn keys(settings: &Settings, action: KeysAction) -> Result<ExitCode, StartError> {
    let db = existing_database(settings).await?;
    let keyring = keyring(settings)?;
    check_schema(&db).await?;
    let result = run(&db, &keyring, action).await;
    db.close().await;
    result.map(|()| ExitCode::SUCCESS)
}

/// The keys of the service. Generates none, because no service could decrypt with a key that is generated here.
fn keyring(settings: &Settings) -> Result<Keyring, StartError> {
    let keys = Secrets::data_keys(&settings.tokens, &settings.service.data_dir)?;
    Keyring::new(keys.iter().map(|key| (key.id(), key.expose()))).map_err(StartError::part("DATA_KEY"))
}

async fn run(db: &Database, keyring: &Keyring, action: KeysAction) -> Result<(), StartError> {
    if action == KeysAction::Rotate {
        rotate(db, keyring).await?;
    }
    let stats = key_rotation::status(db, keyring).await?;
    println_stdout(&table(keyring, &stats));
    match (outdated_count(keyring, &stats), action) {
        (0, _) => {
            println_stdout(&format!("`{}` encrypts all texts: no other key of DATA_KEY is needed", keyring.current()));
            Ok(())
        }
        (outdated, KeysAction::Status) => {
            let current = keyring.current();
            println_stdout(&format!(
                "{outdated} texts are not encrypted with `{current}`: run `faceofmind keys rotate`"
            ));
            Ok(())
        }
        (outdated, KeysAction::Rotate) => Err(StartError::NotRotated(unfinished(keyring, &stats, outdated))),
    }
}

/// Prints the progress: after the first page of each column, and then once in an interval.
async fn rotate(db: &Database, keyring: &Keyring) -> Result<(), StartError> {
    let mut printed: Option<(&'static str, Instant)> = None;
    let print_progress = |column: &'static str, stats: &RotationStats| {
        if printed.is_none_or(|(of, at)| of != column || at.elapsed() >= PROGRESS_INTERVAL) {
            printed = Some((column, Instant::now()));
            println_stdout(&format!("{}: {} read, {} re-encrypted", column, stats.seen, stats.rewritten));
        }
    };
    Ok(key_rotation::rotate(db, keyring, print_progress).await?)
}

/// A line for each column and each key.
fn table(keyring: &Keyring, stats: &[(&'static str, RotationStats)]) -> String {
    let mut lines = Vec::new();
    for (column, stats) in stats {
        for (key, number) in &stats.by_key {
            let (key, note) = match key {
                Some(id) if id == keyring.current() => (id.as_str(), "  current key"),
                Some(id) if !keyring.has(id) => (id.as_str(), "  not in DATA_KEY"),
                Some(id) => (id.as_str(), ""),
                None => ("(not encrypted)", ""),
            };
            lines.push(format!("{:<12}  {key:<32}  {number:>12}{note}", column));
        }
    }
    if lines.is_empty() { "no encrypted text is stored".to_owned() } else { lines.join("\n") }
}

/// The number of texts that are not encrypted with the current key.
fn outdated_count(keyring: &Keyring, stats: &[(&'static str, RotationStats)]) -> u64 {
    let by_key = stats.iter().flat_map(|(_, stats)| &stats.by_key);
    by_key.filter(|(key, _)| key.as_deref() != Some(keyring.current())).map(|(_, number)| number).sum()
}

fn unfinished(keyring: &Keyring, stats: &[(&'static str, RotationStats)], outdated: u64) -> String {
    let keys = stats.iter().flat_map(|(_, stats)| stats.by_key.keys().flatten());
    match keys.into_iter().find(|id| !keyring.has(id)) {
        Some(lost) => {
            format!("{outdated} texts are left. The key `{lost}` is missing: add it to DATA_KEY again")
        }
        None => format!(
            "{outdated} texts are left. If the log does not report them as damaged, they were in use, or a running service \
             still encrypts with another key. Restart it with `{}` first in DATA_KEY, then run this again",
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

    fn stats(by_key: &[(Option<&str>, u64)]) -> Vec<(&'static str, RotationStats)> {
        let by_key = by_key.iter().map(|(key, number)| (key.map(str::to_owned), *number)).collect();
        vec![("voice texts", RotationStats { by_key, ..RotationStats::default() })]
    }

    #[test]
    fn each_key_is_printed_with_its_number_of_texts() {
        let table = |by_key: &[(Option<&str>, u64)]| table(&keyring(), &stats(by_key));
        let printed = table(&[(Some("k0"), 1), (Some("k1"), 20), (Some("k2"), 300), (None, 4000)]);
        let words: Vec<_> = printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            words,
            [
                "voice texts (not encrypted) 4000",
                "voice texts k0 1 not in DATA_KEY",
                "voice texts k1 20",
                "voice texts k2 300 current key",
            ]
        );
        assert_eq!(table(&[]), "no encrypted text is stored");
    }

    #[test]
    fn outdated_texts_are_counted_and_a_missing_key_is_named() {
        let some = stats(&[(Some("k0"), 1), (Some("k2"), 300), (None, 2)]);
        assert_eq!(outdated_count(&keyring(), &some), 3);
        assert!(unfinished(&keyring(), &some, 3).contains("`k0` is missing"));
        let none = stats(&[(Some("k2"), 300)]);
        assert_eq!(outdated_count(&keyring(), &none), 0);
        let error = unfinished(&keyring(), &none, 1);
        assert!(["`k2` first", "in use", "run this again"].iter().all(|words| error.contains(words)), "{error}");
    }
}
