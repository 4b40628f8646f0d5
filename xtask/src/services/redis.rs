//! Redis without persistence.

use std::path::Path;

use anyhow::Result;

use crate::{
    interrupt::Interrupt,
    packages::Package,
    process::{self, Process, Stop},
};

pub(crate) const PACKAGE: Package = Package {
    name: "redis-server",
    is_present: || process::find("redis-server").is_some(),
    daemon: Some("redis-server"),
};

/// Each test has its own database.
const DATABASES: &str = "4096";

pub(crate) struct Redis {
    process: Process,
    port: u16,
}

impl Redis {
    pub(crate) fn start(port: u16, dir: &Path) -> Result<Self> {
        let mut server = process::command("redis-server", Stop::Term, None);
        server.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--databases", DATABASES]);
        server.args(["--save", "", "--appendonly", "no"]).arg("--dir").arg(dir);
        Ok(Self { process: Process::server("redis", server, Stop::Term, dir)?, port })
    }

    /// The id of the process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn ready(&mut self, interrupt: &Interrupt) -> Result<()> {
        self.process.ready(interrupt, || process::answers(self.port, b"PING\r\n", b"+PONG"))
    }

    /// The URL without the number of a database.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}
