//! The binary as a process.

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use super::{test_env::TestEnv, wait::DEADLINE};

const BUILT: &str = env!("CARGO_BIN_EXE_faceofmind");
/// Cargo's folder for the files of tests.
const EMPTY_FOLDER: &str = env!("CARGO_TARGET_TMPDIR");

/// The program with its environment variables, not yet started.
pub(crate) struct Program {
    path: OsString,
    environment: Vec<(String, String)>,
    folder: Option<PathBuf>,
    /// The soft and the hard limit of open files.
    open_files: Option<(u32, u32)>,
}

/// The outcome of a program that has exited.
#[derive(Debug)]
pub(crate) struct Exited {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Program {
    /// The program with the settings of a test's service, and these over them.
    pub(crate) fn in_env(env: &TestEnv, changes: &[(&str, &str)]) -> Self {
        Self { path: BUILT.into(), environment: env.environment(changes), folder: None, open_files: None }
    }

    /// The program with only these environment variables.
    pub(crate) fn with_only(environment: &[(&str, &str)]) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self { path: BUILT.into(), environment: environment.iter().map(own).collect(), folder: None, open_files: None }
    }

    /// The program in this folder, with only these environment variables: what a new user has after the first build. A
    /// whole `cargo xtask test` runs the program as it is shipped.
    pub(crate) fn in_folder(folder: &Path, environment: &[(&str, &str)]) -> Self {
        let path = std::env::var_os("FOM_TEST_SHIPPED").unwrap_or_else(|| BUILT.into());
        Self { path, folder: Some(folder.to_owned()), ..Self::with_only(environment) }
    }

    /// The program as it is shipped, without the test hooks, in production with the settings of a test's service.
    pub(crate) fn shipped(env: &TestEnv, changes: &[(&str, &str)]) -> Self {
        let path = std::env::var_os("FOM_TEST_SHIPPED");
        let path = path.expect("FOM_TEST_SHIPPED names the program that a whole `cargo xtask test` builds for this");
        Self { path, ..Self::in_env(env, &[changes, &[("FACEOFMIND_ENV", "production")]].concat()) }
    }

    /// An example of the workspace. Cargo builds it beside the program.
    pub(crate) fn example(name: &str, environment: &[(&str, &str)]) -> Self {
        let path = Path::new(BUILT).with_file_name("examples").join(name);
        Self { path: path.into(), ..Self::with_only(environment) }
    }

    /// The Python interpreter.
    pub(crate) fn python(environment: &[(&str, &str)]) -> Self {
        Self { path: "/usr/bin/python3".into(), ..Self::with_only(environment) }
    }

    /// The program with this soft and this hard limit of open files.
    pub(crate) fn with_open_files(self, soft: u32, hard: u32) -> Self {
        Self { open_files: Some((soft, hard)), ..self }
    }

    fn command(&self) -> Command {
        let Some((soft, hard)) = self.open_files else { return Command::new(&self.path) };
        let mut shell = Command::new("/bin/sh");
        let script = format!("ulimit -S -n {soft} && ulimit -H -n {hard} && exec \"$0\" \"$@\"");
        shell.arg("-c").arg(script).arg(&self.path);
        shell
    }

    /// Starts the program; its output is read line by line.
    pub(crate) fn start(&self, arguments: &[&str]) -> RunningProgram {
        let mut command = self.command();
        command.args(arguments).env_clear().envs(self.environment.iter().cloned());
        // A `.env` that lies in the repository is no business of a test.
        command.current_dir(self.folder.as_deref().unwrap_or(Path::new(EMPTY_FOLDER)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the program was built");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        RunningProgram { base: String::new(), output: String::new(), lines, child }
    }

    /// Starts the program and waits until it prints the address that it listens on.
    pub(crate) async fn serve(&self, arguments: &[&str]) -> RunningProgram {
        let mut running = self.start(arguments);
        while running.base.is_empty() {
            let line = running.line().await;
            running.base = base_url(&line).unwrap_or_default();
        }
        running
    }

    /// Runs the program until it exits.
    pub(crate) async fn run(&self, arguments: &[&str], input: &str) -> Exited {
        let mut running = self.start(arguments);
        let mut stdin = running.child.stdin.take().expect("piped");
        // The program may exit without reading its input.
        drop(stdin.write_all(input.as_bytes()).await);
        drop(stdin);
        running.exited().await
    }
}

/// The service's address in a line of output: `http://127.0.0.1:PORT`.
fn base_url(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("http://")?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && !".:".contains(c)).unwrap_or(rest.len());
    Some(format!("http://{}", rest[..end].trim_end_matches(['.', ':'])))
}

/// A program that runs. It is killed when this is dropped.
pub(crate) struct RunningProgram {
    /// `http://127.0.0.1:PORT` of a program that serves, otherwise empty.
    pub(crate) base: String,
    /// The lines that were read.
    output: String,
    lines: Lines<BufReader<ChildStdout>>,
    child: Child,
}

impl RunningProgram {
    pub(crate) fn address(&self) -> SocketAddr {
        self.base.trim_start_matches("http://").parse().expect("an address")
    }

    /// The next line of output.
    pub(crate) async fn line(&mut self) -> String {
        let line = timeout(DEADLINE, self.lines.next_line()).await.expect("the program prints in time").expect("UTF-8");
        let line = line.unwrap_or_else(|| panic!("the program ended after printing: {}", self.output));
        self.output += &format!("{line}\n");
        line
    }

    /// Sends the signal with this name (`TERM`).
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.child.id().expect("the program runs").to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().await.expect("kill runs");
        assert!(sent.success());
    }

    /// Makes an actor panic, again and again, until the program exits.
    pub(crate) async fn panic_until_exit(mut self) -> Exited {
        let panicking = async {
            while self.child.try_wait().expect("the program's state is known").is_none() {
                self.signal("USR1").await;
            }
        };
        timeout(DEADLINE, panicking).await.expect("the program exits");
        self.exited().await
    }

    /// Sends SIGKILL and waits until the process is gone.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("the program runs");
    }

    /// Sends SIGTERM and asserts that the program exits with 0.
    pub(crate) async fn terminate(self) -> Exited {
        self.signal("TERM").await;
        let exited = self.exited().await;
        assert_eq!(exited.code, Some(0), "{exited:?}");
        exited
    }

    /// Waits until the program exits.
    pub(crate) async fn exited(self) -> Exited {
        self.wait(true).await
    }

    /// Waits until the program exits, without reading its output, so that the pipe stays full.
    pub(crate) async fn exited_unread(self) -> Exited {
        self.wait(false).await
    }

    async fn wait(self, read: bool) -> Exited {
        let Self { mut output, mut lines, child, .. } = self;
        let reading = async {
            while read && let Ok(Some(line)) = lines.next_line().await {
                output += &format!("{line}\n");
            }
        };
        let ending = async { tokio::join!(reading, child.wait_with_output()).1 };
        let end = timeout(DEADLINE, ending).await.expect("the program exits").expect("its end is known");
        Exited { code: end.status.code(), output, errors: String::from_utf8_lossy(&end.stderr).into_owned() }
    }
}
