//! Child processes that never outlive us: not after a failure, a panic, Ctrl-C, nor when we are killed.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{Read, Write},
    iter,
    net::TcpStream,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{interrupt::Interrupt, packages, wait};

const TO_STOP: Duration = Duration::from_secs(10);
const TO_START: Duration = Duration::from_secs(30);
const TO_ANSWER: Duration = Duration::from_secs(1);

/// The signal that makes a program end in good order.
#[derive(Clone, Copy)]
pub(crate) enum Stop {
    /// What Postgres takes as "now, but cleanly"; on TERM it would wait for its clients.
    Int,
    Term,
}

impl Stop {
    fn name(self) -> &'static str {
        match self {
            Self::Int => "INT",
            Self::Term => "TERM",
        }
    }
}

/// A command for `program` in a process group of its own, out of reach of the terminal's Ctrl-C, which reaches it by way
/// of us. `setpriv` has the kernel send it `stop` when we are killed and can do nothing any more (and, for a `user`,
/// changes to that one first); where there is no `setpriv`, only that last resort is missing.
pub(crate) fn command(program: impl AsRef<OsStr>, stop: Stop, user: Option<&str>) -> Command {
    let mut command = match packages::find("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            if let Some(user) = user {
                command.args(["--reuid", user, "--regid", user, "--init-groups"]);
            }
            command.args(["--pdeathsig", stop.name(), "--"]).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.process_group(0).stdin(Stdio::null());
    command
}

/// Runs a command to its end and gives what it printed; its error output goes into the failure.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {}", line(command)))?;
    if !output.status.success() {
        bail!("{}: {}\n{}", line(command), output.status, String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command as it would be typed, without its environment, in which secrets may be.
fn line(command: &Command) -> String {
    let words: Vec<_> =
        iter::once(command.get_program()).chain(command.get_args()).map(OsStr::to_string_lossy).collect();
    words.join(" ")
}

/// A running process, stopped when this is dropped, with all that it started.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    stop: Stop,
    log: Option<PathBuf>,
}

impl Process {
    /// Starts a program that prints where we print.
    pub(crate) fn start(name: &'static str, mut command: Command, stop: Stop) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("cannot start {name}: {}", line(&command)))?;
        Ok(Self { name, child, stop, log: None })
    }

    /// Starts a server whose output goes to `NAME.log` in `dir`.
    pub(crate) fn server(name: &'static str, mut command: Command, stop: Stop, dir: &Path) -> Result<Self> {
        let log = dir.join(name).with_extension("log");
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdout(file.try_clone()?).stderr(file);
        let mut process = Self::start(name, command, stop)?;
        process.log = Some(log);
        Ok(process)
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end, however long that takes.
    pub(crate) fn wait(mut self, interrupt: &Interrupt) -> Result<ExitStatus> {
        wait::until(self.name, Duration::MAX, interrupt, || Ok(self.child.try_wait()?))
    }

    /// Waits until `is_ready`. A server that ends instead, or is too slow, is a failure that tells the end of its log.
    pub(crate) fn ready(&mut self, interrupt: &Interrupt, is_ready: impl Fn() -> bool) -> Result<()> {
        let started = wait::until("an answer", TO_START, interrupt, || match self.child.try_wait()? {
            Some(status) => bail!("it ended with {status}"),
            None => Ok(is_ready().then_some(())),
        });
        interrupt.check()?;
        started.with_context(|| format!("{}\n{} does not start", self.log_end(), self.name))
    }

    fn log_end(&self) -> String {
        let log = self.log.as_ref().and_then(|log| fs::read_to_string(log).ok()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Sends a signal to the process, or (`-` before the id) to its group: the shell can, std alone cannot.
    fn signal(&self, signal: &str, to: &str) {
        let command = format!("kill -s {signal} -- {to}{} 2>/dev/null", self.child.id());
        let _gone_already = Command::new("sh").args(["-c", &command]).status();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(self.stop.name(), "");
            let uninterrupted = Interrupt::default();
            let _too_slow = wait::until(self.name, TO_STOP, &uninterrupted, || Ok(self.child.try_wait()?));
        }
        self.signal("KILL", "-");
        let _reaped = self.child.wait();
    }
}

/// Whether a server at this port, told `say`, answers with `expected`.
pub(crate) fn answers(port: u16, say: &[u8], expected: &[u8]) -> bool {
    let answer = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(TO_ANSWER))?;
        stream.write_all(say)?;
        let mut answer = vec![0; expected.len()];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    answer().is_ok_and(|answer| answer == expected)
}
