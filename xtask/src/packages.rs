//! The Debian packages of the programs that the commands need, and their installation.

use std::{os::unix::fs::MetadataExt, path::Path, process::Command};

use anyhow::{Result, bail, ensure};

use crate::process;

/// A Debian package. `is_present` is whether its programs are there, from this package or another source.
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) is_present: fn() -> bool,
    /// The system service that the installation starts, to be stopped again.
    pub(crate) daemon: Option<&'static str>,
}

const PIP: Package = Package { name: "python3-pip", is_present: || process::find("pip").is_some(), daemon: None };

/// Installs packages of PyPI into a folder, without what they depend on.
pub(crate) fn install_from_pypi(packages: &[&str], dir: &Path) -> Result<()> {
    pip_install(&[&["--no-deps"], packages].concat(), dir)
}

/// Installs packages of PyPI into a folder, with what they depend on.
pub(crate) fn install_all_from_pypi(packages: &[&str], dir: &Path) -> Result<()> {
    pip_install(packages, dir)
}

fn pip_install(args: &[&str], dir: &Path) -> Result<()> {
    ensure_present(&[PIP])?;
    let mut pip = Command::new("pip");
    process::output(pip.args(["install", "--quiet", "--target"]).arg(dir).args(args)).map(drop)
}

/// Installs the missing ones of `packages` as root. Another user gets an error that names them.
pub(crate) fn ensure_present(packages: &[Package]) -> Result<()> {
    let missing = missing(packages);
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() || process::find("apt-get").is_none() {
        bail!(advice(&missing));
    }
    install(&missing)?;
    let missing: Vec<_> = missing.into_iter().filter(|package| !(package.is_present)()).collect();
    ensure!(missing.is_empty(), "installed, but still not found: {}", names(&missing).join(" "));
    Ok(())
}

fn missing(packages: &[Package]) -> Vec<&Package> {
    packages.iter().filter(|package| !(package.is_present)()).collect()
}

fn names<'a>(packages: &[&'a Package]) -> Vec<&'a str> {
    packages.iter().map(|package| package.name).collect()
}

fn advice(missing: &[&Package]) -> String {
    let names = names(missing).join(" ");
    format!(
        "missing: {names}. On Debian or Ubuntu: `sudo apt-get update && sudo apt-get install {names}`; \
         elsewhere, install the programs of these packages on the PATH"
    )
}

fn install(missing: &[&Package]) -> Result<()> {
    let names = names(missing);
    eprintln!("installing {}", names.join(" "));
    apt_get(&["update", "--quiet"])?;
    apt_get(&[&["install", "--quiet", "--yes", "--no-install-recommends"], &names[..]].concat())?;
    // The commands start their own servers on free ports.
    for daemon in missing.iter().filter_map(|package| package.daemon) {
        let _not_running = Command::new("service").args([daemon, "stop"]).output();
    }
    Ok(())
}

fn apt_get(args: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(["-o", "DPkg::Lock::Timeout=120"]).args(args).env("DEBIAN_FRONTEND", "noninteractive");
    process::output(&mut command).map(drop)
}

/// Whether this process runs as root. It may then install packages, and must run PostgreSQL as another user.
pub(crate) fn is_root() -> bool {
    // The owner of this directory is the user of the process; std has no function for it. Systems without this directory have no apt-get.
    Path::new("/proc/self").metadata().is_ok_and(|process| process.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRESENT: Package = Package { name: "curl", is_present: || true, daemon: None };
    const MISSING: Package = Package { name: "wrk", is_present: || false, daemon: None };

    #[test]
    fn only_missing_packages_are_named() {
        let advice = advice(&missing(&[PRESENT, MISSING]));
        assert!(advice.starts_with("missing: wrk."), "{advice}");
        assert!(advice.contains("apt-get install wrk`"), "{advice}");
        assert!(!advice.contains("curl"), "{advice}");
    }

    #[test]
    fn nothing_is_installed_if_nothing_is_missing() {
        ensure_present(&[PRESENT]).expect("all is there");
    }
}
