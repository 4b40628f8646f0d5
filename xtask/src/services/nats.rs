//! NATS with JetStream and an account for each test, because the names of streams and subjects are fixed.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    interrupt::Interrupt,
    packages::Package,
    process::{self, Process, Stop},
};

pub(crate) const PACKAGE: Package =
    Package { name: "nats-server", is_present: || process::find("nats-server").is_some(), daemon: Some("nats-server") };

/// Accounts `T0`, `T1`, …, each with JetStream and one user `t0`, `t1`, … whose password is `t`.
pub(crate) const ACCOUNTS: usize = 500;

pub(crate) struct Nats {
    process: Process,
    program: PathBuf,
    port: u16,
}

impl Nats {
    pub(crate) fn start(port: u16, dir: &Path) -> Result<Self> {
        let program = process::find("nats-server").context("nats-server is missing")?;
        let config = dir.join("nats.conf");
        fs::write(&config, configuration(port, &dir.join("nats"))).context("cannot write nats.conf")?;
        let mut server = process::command(&program, Stop::Term, None);
        server.arg("-c").arg(&config);
        Ok(Self { process: Process::server("nats", server, Stop::Term, dir)?, program, port })
    }

    /// The id of the process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn ready(&mut self, interrupt: &Interrupt) -> Result<()> {
        self.process.ready(interrupt, || process::answers(self.port, b"", b"INFO {"))
    }

    /// Host and port.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The URL with the user of one account.
    pub(crate) fn url(&self, account: usize) -> String {
        format!("nats://t{account}:t@{}", self.address())
    }

    /// The path of the program, for a test that starts and kills its own server.
    pub(crate) fn program(&self) -> String {
        self.program.display().to_string()
    }
}

/// The limit of the file store is larger than any disk, because the `max_bytes` of the streams of all 500 accounts count against it. Accounts
/// have no limits, so they reserve nothing.
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
