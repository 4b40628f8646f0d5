//! NATS with JetStream, and an account for every test: streams and subjects have fixed names, and in accounts of their own
//! they never meet.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    interrupt::Interrupt,
    packages::{self, Package},
    process::{self, Process, Stop},
};

pub(crate) const PACKAGE: Package = Package {
    name: "nats-server",
    is_present: || packages::find("nats-server").is_some(),
    daemon: Some("nats-server"),
};

/// Accounts `T0`, `T1`, …, each with JetStream and one user `t0`, `t1`, … whose password is `t`.
pub(crate) const ACCOUNTS: usize = 500;

pub(crate) struct Nats {
    process: Process,
    program: PathBuf,
    port: u16,
}

impl Nats {
    pub(crate) fn start(port: u16, dir: &Path) -> Result<Self> {
        let program = packages::find("nats-server").context("nats-server is missing")?;
        let config = dir.join("nats.conf");
        fs::write(&config, configuration(port, &dir.join("nats"))).context("cannot write nats.conf")?;
        let mut server = process::command(&program, Stop::Term, None);
        server.arg("-c").arg(&config);
        Ok(Self { process: Process::server("nats", server, Stop::Term, dir)?, program, port })
    }

    pub(crate) fn ready(&mut self, interrupt: &Interrupt) -> Result<()> {
        self.process.ready(interrupt, || process::answers(self.port, b"", b"INFO {"))
    }

    /// Host and port.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The server with the user of one account.
    pub(crate) fn url(&self, account: usize) -> String {
        format!("nats://t{account}:t@{}", self.address())
    }

    /// Where the program is, for a test that starts and kills a server of its own.
    pub(crate) fn program(&self) -> String {
        self.program.display().to_string()
    }
}

/// The limit on files is far beyond what is there to be used: what streams reserve with `max_bytes` counts against it,
/// for 500 accounts at once. Accounts have no limit of their own, so they reserve nothing.
fn configuration(port: u16, store: &Path) -> String {
    let mut text = format!(
        "listen: \"127.0.0.1:{port}\"\n\
         jetstream {{ store_dir: \"{}\", max_memory_store: 1GB, max_file_store: 100TB }}\n\
         accounts {{\n",
        store.display()
    );
    for n in 0..ACCOUNTS {
        let _infallible = writeln!(text, "  T{n}: {{ jetstream: enabled, users: [{{ user: t{n}, password: t }}] }}");
    }
    text.push_str("}\n");
    text
}
