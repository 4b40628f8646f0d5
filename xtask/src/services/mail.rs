//! A mail server that delivers all mails into one Maildir.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{
    interrupt::Interrupt,
    packages::Package,
    process::{self, Process, Stop},
};

pub(crate) const PACKAGE: Package = Package { name: "python3-aiosmtpd", is_present, daemon: None };

/// Debian's Python. Another one on the PATH does not find Debian's packages.
const PYTHON: &str = "/usr/bin/python3";

pub(crate) struct Mail {
    process: Process,
    port: u16,
    dir: PathBuf,
}

impl Mail {
    pub(crate) fn start(port: u16, dir: &Path) -> Result<Self> {
        let maildir = dir.join("mail");
        let mut server = process::command(PYTHON, Stop::Term, None);
        server.args(["-m", "aiosmtpd", "--nosetuid", "--listen", &format!("127.0.0.1:{port}")]);
        server.args(["--class", "aiosmtpd.handlers.Mailbox"]).arg(&maildir);
        Ok(Self { process: Process::server("smtp", server, Stop::Term, dir)?, port, dir: maildir })
    }

    pub(crate) fn ready(&mut self, interrupt: &Interrupt) -> Result<()> {
        self.process.ready(interrupt, || process::answers(self.port, b"", b"220 "))
    }

    /// Host and port.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where mails arrive.
    pub(crate) fn arrived(&self) -> PathBuf {
        self.dir.join("new")
    }

    /// The Maildir. Each mail is a file in its folder `new`.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

fn is_present() -> bool {
    let imported = Command::new(PYTHON).args(["-c", "import aiosmtpd"]).output();
    imported.is_ok_and(|output| output.status.success())
}
