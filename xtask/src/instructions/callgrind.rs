//! The service under valgrind's callgrind, which counts instructions.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{
    bench::http,
    interrupt::Interrupt,
    packages::Package,
    process::{self, Process, Stop},
    services::free_ports,
    wait::Stopwatch,
};

pub(super) const VALGRIND: Package =
    Package { name: "valgrind", is_present: || process::find("valgrind").is_some(), daemon: None };

/// The settings of the service beside its embedded default.
///
/// - A log-in hashes at the least cost that Argon2 allows, because a hash of usual cost takes a second under callgrind.
/// - One worker thread, so that the counts do not depend on the number of cores.
const SETTINGS: [(&str, &str); 6] = [
    ("OPERATOR_ADDR", ""),
    ("RATE_LIMITS", "off"),
    ("RUST_LOG", "warn"),
    ("ARGON2_MEMORY_KIB", "8"),
    ("ARGON2_ITERATIONS", "1"),
    ("TOKIO_WORKER_THREADS", "1"),
];
/// What a request has caused is done after this time.
const SETTLED: Duration = Duration::from_millis(500);

/// A service whose instructions are counted.
pub(super) struct Counted {
    process: Process,
    pub(super) port: u16,
    /// Where its mails are.
    pub(super) mails: PathBuf,
    out: PathBuf,
    dumps: u32,
}

impl Counted {
    /// Starts the service, and waits until it is ready. Nothing is counted yet, which makes it faster.
    pub(super) fn start(binary: &Path, dir: &Path, interrupt: &Interrupt) -> Result<Self> {
        let ([port], out, data) = (free_ports()?, dir.join("callgrind"), dir.join("data"));
        let mut command = process::command(process::find("valgrind").context("valgrind is missing")?, Stop::Term, None);
        command.args(["--quiet", "--tool=callgrind", "--instr-atstart=no"]);
        command.arg(format!("--callgrind-out-file={}", out.display())).arg(binary).arg("serve");
        with_path(&mut command).envs(SETTINGS).env("PORT", port.to_string()).env("DATA_DIR", &data);
        let mut process = Process::server("callgrind", command, Stop::Term, dir)?;
        process.ready(interrupt, || http::get(port, "/ready").is_ok())?;
        Ok(Self { process, port, mails: data.join("mail"), out, dumps: 0 })
    }

    pub(super) fn switch_on(&self) -> Result<()> {
        self.control("--instr=on")
    }

    /// The instructions of all threads during `work`, and the seconds that it took.
    pub(super) fn during(&mut self, work: impl FnOnce() -> Result<()>) -> Result<(f64, f64)> {
        self.since_last()?;
        let began = Stopwatch::start();
        work()?;
        thread::sleep(SETTLED);
        let seconds = began.elapsed().as_secs_f64();
        Ok((self.since_last()? as f64, seconds))
    }

    /// The instructions since this was last asked.
    fn since_last(&mut self) -> Result<u64> {
        self.control("--dump")?;
        self.dumps += 1;
        let dump = PathBuf::from(format!("{}.{}", self.out.display(), self.dumps));
        let text = fs::read_to_string(&dump).context("callgrind has written no counts")?;
        fs::remove_file(dump)?;
        total(&text).context("callgrind has written no total")
    }

    /// `callgrind_control` finds the process by names that both make of the same environment variables.
    fn control(&self, order: &str) -> Result<()> {
        let mut control = Command::new("callgrind_control");
        process::output(with_path(&mut control).arg(order).arg(self.process.id().to_string())).map(drop)
    }
}

/// Leaves only the path of the environment.
fn with_path(command: &mut Command) -> &mut Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path)
}

/// The sum of a dump: `totals: 123`.
fn total(dump: &str) -> Option<u64> {
    dump.lines().find_map(|line| line.strip_prefix("totals:"))?.trim().parse().ok()
}

/// Valgrind prints it as `valgrind-3.19.0`.
pub(super) fn version() -> Result<String> {
    let printed = process::output(Command::new("valgrind").arg("--version"))?;
    Ok(printed.trim().trim_start_matches("valgrind-").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_dump_is_read() {
        let dump = "# callgrind format\nversion: 1\nevents: Ir\nsummary: 7\n\nfn=(1) main\n0 7\n\ntotals: 152814\n";
        assert_eq!(total(dump), Some(152_814));
        assert_eq!(total("events: Ir\n"), None);
    }
}
