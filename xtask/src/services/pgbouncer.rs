//! pgbouncer in transaction mode, in front of the private PostgreSQL. It has few connections to the server, so that clients share them.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::{
    interrupt::Interrupt,
    packages::{self, Package},
    process::{self, Process, Stop},
};

pub(crate) const PGBOUNCER: Package =
    Package { name: "pgbouncer", is_present: || process::find("pgbouncer").is_some(), daemon: Some("pgbouncer") };

pub(crate) struct Pgbouncer {
    _process: Process,
    port: u16,
}

impl Pgbouncer {
    pub(crate) fn start(port: u16, postgres: u16, dir: &Path, interrupt: &Interrupt) -> Result<Self> {
        let config = dir.join("pgbouncer.ini");
        fs::write(&config, configuration(port, postgres)).context("cannot write pgbouncer.ini")?;
        // It does not run as root either.
        let user = packages::is_root().then_some("postgres");
        let mut server = process::command(process::find("pgbouncer").context("pgbouncer is missing")?, Stop::Int, user);
        server.arg(config);
        let mut process = Process::server("pgbouncer", server, Stop::Int, dir)?;
        process.ready(interrupt, || process::accepts(port))?;
        Ok(Self { _process: process, port })
    }

    /// Host and port.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

fn configuration(port: u16, postgres: u16) -> String {
    format!(
        "[databases]\n* = host=127.0.0.1 port={postgres} user=postgres\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
         pool_mode = transaction\ndefault_pool_size = 6\nmax_client_conn = 1000\n"
    )
}
