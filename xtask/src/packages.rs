//! The programs that we start, the Debian packages that bring them, and how those get installed.

use std::{
    env,
    ffi::OsStr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail, ensure};

/// A Debian package, and how to tell that what it brings is there (by this package or in another way).
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) is_present: fn() -> bool,
    /// The system service that its installation may start, which nobody asked for.
    pub(crate) daemon: Option<&'static str>,
}

/// Sees to it that all of `packages` are there: installs what is missing as root, else says what to install.
pub(crate) fn ensure_present(packages: &[Package]) -> Result<()> {
    let missing = missing(packages);
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() || find("apt-get").is_none() {
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
         elsewhere, install what these packages bring and have it on the PATH"
    )
}

fn install(missing: &[&Package]) -> Result<()> {
    let names = names(missing);
    eprintln!("installing {}", names.join(" "));
    apt_get(&["update", "--quiet"])?;
    apt_get(&[&["install", "--quiet", "--yes", "--no-install-recommends"], &names[..]].concat())?;
    // Ours run on ports of their own; what the installation started would only be in the way of the machine's owner.
    for daemon in missing.iter().filter_map(|package| package.daemon) {
        let _not_running = Command::new("service").args([daemon, "stop"]).output();
    }
    Ok(())
}

fn apt_get(args: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(["-o", "DPkg::Lock::Timeout=120"]).args(args).env("DEBIAN_FRONTEND", "noninteractive");
    crate::process::output(&mut command).map(drop)
}

/// Whether we may install packages, and must not run Postgres as ourselves.
pub(crate) fn is_root() -> bool {
    // Who owns the process's own directory is who it runs as; std has no other way to ask. Elsewhere than on Linux
    // there is neither this directory nor apt-get.
    Path::new("/proc/self").metadata().is_ok_and(|process| process.uid() == 0)
}

/// A program on the PATH, or where Debian puts servers.
pub(crate) fn find(program: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let elsewhere = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(elsewhere).map(|dir| dir.join(program.as_ref())).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Package = Package { name: "curl", is_present: || true, daemon: None };
    const AWAY: Package = Package { name: "wrk", is_present: || false, daemon: None };

    #[test]
    fn what_is_missing_is_named_and_nothing_else() {
        let advice = advice(&missing(&[HERE, AWAY]));
        assert!(advice.starts_with("missing: wrk."), "{advice}");
        assert!(advice.contains("apt-get install wrk`"), "{advice}");
        assert!(!advice.contains("curl"), "{advice}");
    }

    #[test]
    fn nothing_is_installed_where_nothing_is_missing() {
        ensure_present(&[HERE]).expect("all is there");
    }

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program").is_none());
    }
}
