//! Child processes that end with this process: after a failure, a panic, Ctrl-C, and when it is killed.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io::{Read, Write},
    iter,
    net::TcpStream,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{interrupt::Interrupt, wait};

const STOP_TIMEOUT: Duration = Duration::from_secs(10);
const START_TIMEOUT: Duration = Duration::from_secs(30);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// The signal for a clean stop.
#[derive(Clone, Copy)]
pub(crate) enum Stop {
    /// For PostgreSQL, which waits for its clients after TERM.
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

/// A command for `program` in its own process group, so that the terminal's Ctrl-C reaches only this process. `setpriv` runs it as `user`, and
/// lets the kernel send it `stop` if this process is killed. Without `setpriv`, that protection is missing.
pub(crate) fn command(program: impl AsRef<OsStr>, stop: Stop, user: Option<&str>) -> Command {
    let mut command = match find("setpriv") {
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

/// Runs a command and gives its standard output. An error contains its error output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {}", line(command)))?;
    if !output.status.success() {
        bail!("{}: {}\n{}", line(command), output.status, String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command line, without the environment, which may hold secrets.
fn line(command: &Command) -> String {
    let words: Vec<_> =
        iter::once(command.get_program()).chain(command.get_args()).map(OsStr::to_string_lossy).collect();
    words.join(" ")
}

/// A running process. Dropping it stops the process and its children.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    stop: Stop,
    log: Option<PathBuf>,
}

impl Process {
    /// Starts a program with the standard output of this process.
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

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end without a time limit.
    pub(crate) fn wait(mut self, interrupt: &Interrupt) -> Result<ExitStatus> {
        wait::until(self.name, Duration::MAX, interrupt, || Ok(self.child.try_wait()?))
    }

    /// Waits until `is_ready`. If the server ends or is too slow, the error contains the end of its log.
    pub(crate) fn ready(&mut self, interrupt: &Interrupt, is_ready: impl Fn() -> bool) -> Result<()> {
        let started = wait::until("an answer", START_TIMEOUT, interrupt, || match self.child.try_wait()? {
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

    /// Sends a signal to the process, or with `-` before the id to its group. std cannot, so a shell does.
    fn signal(&self, signal: &str, to: &str) {
        let command = format!("kill -s {signal} -- {to}{} 2>/dev/null", self.child.id());
        let _already_ended = Command::new("sh").args(["-c", &command]).status();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(self.stop.name(), "");
            let uninterrupted = Interrupt::default();
            let _too_slow = wait::until(self.name, STOP_TIMEOUT, &uninterrupted, || Ok(self.child.try_wait()?));
        }
        self.signal("KILL", "-");
        let _reaped = self.child.wait();
    }
}

/// The exit code of a program that ended; 1 if a signal ended it.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Whether a server listens at this port.
pub(crate) fn accepts(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Whether a server at this port answers `request` with `expected`.
pub(crate) fn answers(port: u16, request: &[u8], expected: &[u8]) -> bool {
    let answer = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.write_all(request)?;
        let mut answer = vec![0; expected.len()];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    answer().is_ok_and(|answer| answer == expected)
}

/// The path of a program on the PATH or in Debian's folders of servers.
pub(crate) fn find(program: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(system).map(|dir| dir.join(program.as_ref())).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program").is_none());
    }
}
