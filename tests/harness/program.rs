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

/// The program with its environment, before it is run.
pub(crate) struct Program {
    path: OsString,
    environment: Vec<(String, String)>,
    folder: Option<PathBuf>,
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Program {
    /// With the settings of a story's service.
    pub(crate) fn on(env: &TestEnv) -> Self {
        Self::node(env, &[])
    }

    /// The same with the changes of one node over them.
    pub(crate) fn node(env: &TestEnv, changes: &[(&str, &str)]) -> Self {
        Self { path: BUILT.into(), environment: env.environment(changes), folder: None }
    }

    /// With nothing but these.
    pub(crate) fn with(environment: &[(&str, &str)]) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self { path: BUILT.into(), environment: environment.iter().map(own).collect(), folder: None }
    }

    /// As somebody has it who has just built it: in a folder of theirs, with nothing but these settings. A whole `cargo xtask test` takes
    /// what is shipped.
    pub(crate) fn fresh(folder: &Path, environment: &[(&str, &str)]) -> Self {
        let path = std::env::var_os("FOM_TEST_SHIPPED").unwrap_or_else(|| BUILT.into());
        Self { path, folder: Some(folder.to_owned()), ..Self::with(environment) }
    }

    /// As it is shipped, without the doors for tests, in production with the settings of a story's service.
    pub(crate) fn shipped(env: &TestEnv, changes: &[(&str, &str)]) -> Self {
        let path = std::env::var_os("FOM_TEST_SHIPPED");
        let path = path.expect("FOM_TEST_SHIPPED names the program that a whole `cargo xtask test` builds for this");
        let production = [changes, &[("FACEOFMIND_ENV", "production")]].concat();
        Self { path, environment: env.environment(&production), folder: None }
    }

    /// An example of the workspace, as it is built beside the program.
    pub(crate) fn example(name: &str, environment: &[(&str, &str)]) -> Self {
        let beside = std::path::Path::new(BUILT).with_file_name("examples").join(name);
        Self { path: beside.into(), ..Self::with(environment) }
    }

    /// A script for Python.
    pub(crate) fn python(environment: &[(&str, &str)]) -> Self {
        Self { path: "/usr/bin/python3".into(), ..Self::with(environment) }
    }

    /// Runs it for as long as it goes on; what it prints is read line by line.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Printing {
        let mut child = self.spawn(arguments);
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Printing { lines, child }
    }

    /// Runs to the end.
    pub(crate) async fn run(&self, arguments: &[&str], input: &str) -> Left {
        let mut child = self.spawn(arguments);
        let mut stdin = child.stdin.take().expect("piped");
        // A program that reads nothing may be gone by now.
        drop(stdin.write_all(input.as_bytes()).await);
        drop(stdin);
        let ended = timeout(DEADLINE, child.wait_with_output()).await.expect("the program ends").expect("an end");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Left { code: ended.status.code(), output: text(&ended.stdout), errors: text(&ended.stderr) }
    }

    /// Runs it until it has said a line, and kills it (SIGKILL); the line.
    pub(crate) async fn killed_after_a_line(&self, arguments: &[&str]) -> String {
        let mut child = self.spawn(arguments);
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let line = timeout(DEADLINE, lines.next_line()).await.expect("it says something in time").expect("readable");
        child.kill().await.expect("it runs");
        line.expect("it says something before it ends")
    }

    /// Runs it until it says where it listens.
    pub(crate) async fn serve(&self, arguments: &[&str]) -> Serving {
        let mut child = self.spawn(arguments);
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut said = Vec::new();
        let base = timeout(DEADLINE, heard(&mut lines, &mut said)).await.expect("it serves in time");
        Serving { base, said, lines, child }
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(&self.path);
        command.args(arguments).env_clear().envs(self.environment.iter().cloned());
        command.current_dir(self.folder.as_deref().unwrap_or(Path::new(".")));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.spawn().expect("the program was built")
    }
}

/// A program that prints line by line until it is told to stop.
pub(crate) struct Printing {
    lines: Lines<BufReader<ChildStdout>>,
    child: Child,
}

impl Printing {
    /// The next line.
    pub(crate) async fn line(&mut self) -> String {
        let line = timeout(DEADLINE, self.lines.next_line()).await.expect("it prints in time").expect("UTF-8");
        line.expect("it goes on")
    }

    /// Sends this signal.
    pub(crate) async fn signal(&self, name: &str) {
        signal(&self.child, name).await;
    }

    /// Waits for its end.
    pub(crate) async fn ended(self) -> Left {
        let ended = timeout(DEADLINE, self.child.wait_with_output()).await.expect("the program ends").expect("an end");
        let errors = String::from_utf8_lossy(&ended.stderr).into_owned();
        Left { code: ended.status.code(), output: String::new(), errors }
    }
}

async fn signal(child: &Child, name: &str) {
    let id = child.id().expect("it runs").to_string();
    let sent = Command::new("kill").args(["-s", name, &id]).status().await.expect("kill runs");
    assert!(sent.success());
}

/// A program that serves.
pub(crate) struct Serving {
    /// `http://127.0.0.1:PORT`
    pub(crate) base: String,
    /// The lines up to the one with the address.
    pub(crate) said: Vec<String>,
    lines: Lines<BufReader<ChildStdout>>,
    child: Child,
}

impl Serving {
    pub(crate) fn address(&self) -> SocketAddr {
        self.base.trim_start_matches("http://").parse().expect("an address")
    }

    /// Sends SIGTERM.
    pub(crate) async fn terminate(&self) {
        self.signal("TERM").await;
    }

    /// Sends the signal of that name.
    pub(crate) async fn signal(&self, name: &str) {
        signal(&self.child, name).await;
    }

    /// Lets an actor panic, over and over, until the program has ended.
    pub(crate) async fn ended_by_panics(mut self) -> Left {
        let pressing = async {
            while self.child.try_wait().expect("its state is known").is_none() {
                self.signal("USR1").await;
            }
        };
        timeout(DEADLINE, pressing).await.expect("the program ends");
        self.ended().await
    }

    /// Sends SIGKILL, and waits until it is gone.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it runs");
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> Left {
        let mut output = self.said.join("\n");
        while let Ok(Some(line)) = self.lines.next_line().await {
            output.push('\n');
            output.push_str(&line);
        }
        let ended = timeout(DEADLINE, self.child.wait_with_output()).await.expect("the program ends").expect("an end");
        let errors = String::from_utf8_lossy(&ended.stderr).into_owned();
        Left { code: ended.status.code(), output, errors }
    }
}

async fn heard(lines: &mut Lines<BufReader<ChildStdout>>, said: &mut Vec<String>) -> String {
    loop {
        let line = lines.next_line().await.expect("readable").unwrap_or_else(|| panic!("it ended, saying {said:?}"));
        let address = line.split("http://").nth(1).map(|rest| {
            rest.chars().take_while(|letter| letter.is_ascii_digit() || ".:".contains(*letter)).collect::<String>()
        });
        said.push(line);
        if let Some(address) = address {
            return format!("http://{}", address.trim_end_matches(['.', ':']));
        }
    }
}
