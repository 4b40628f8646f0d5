//! The private servers: PostgreSQL, Redis, NATS and an SMTP sink, on free ports of 127.0.0.1, with their data in one temporary directory.
//! Dropping [`Services`] stops them and removes the directory.

mod mail;
mod nats;
mod pgbouncer;
mod postgres;
mod redis;

use std::{
    convert::Infallible,
    fs::{self, Permissions},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result};
use tempfile::TempDir;

pub(crate) use self::{
    mail::Mail,
    nats::Nats,
    pgbouncer::{PGBOUNCER, Pgbouncer},
    postgres::{Durability, Postgres, program as postgres_program},
    redis::Redis,
};
use crate::{interrupt::Interrupt, packages, wait};

/// All servers, ready. Fields are dropped in this order, so the directory is the last.
pub(crate) struct Services {
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
    pub(crate) nats: Nats,
    pub(crate) mail: Mail,
    pub(crate) dir: TempDir,
}

impl Services {
    /// Starts all servers in parallel and waits until each answers.
    pub(crate) fn start(durability: Durability, interrupt: &Interrupt) -> Result<Self> {
        packages::ensure_present(&[postgres::PACKAGE, redis::PACKAGE, nats::PACKAGE, mail::PACKAGE])?;
        let dir = temporary_dir()?;
        let [redis_port, nats_port, mail_port, postgres_port] = free_ports()?;
        let mut services = Self {
            redis: Redis::start(redis_port, dir.path())?,
            nats: Nats::start(nats_port, dir.path())?,
            mail: Mail::start(mail_port, dir.path())?,
            postgres: Postgres::start(postgres_port, durability, dir.path())?,
            dir,
        };
        services.ready(interrupt)?;
        Ok(services)
    }

    fn ready(&mut self, interrupt: &Interrupt) -> Result<()> {
        self.redis.ready(interrupt)?;
        self.nats.ready(interrupt)?;
        self.mail.ready(interrupt)?;
        self.postgres.ready(interrupt)
    }

    /// Creates the folder for the temporary files of what uses the servers. It is removed with their data.
    pub(crate) fn temporary_dir(&self) -> Result<PathBuf> {
        let dir = self.dir.path().join("tmp");
        fs::create_dir(&dir).context("cannot create a temporary directory")?;
        Ok(dir)
    }

    /// The environment variables that the tests' harness reads.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("FOM_TEST_POSTGRES", self.postgres.url()),
            ("FOM_TEST_REDIS", self.redis.url()),
            ("FOM_TEST_NATS", self.nats.address()),
            ("FOM_TEST_NATS_ACCOUNTS", nats::ACCOUNTS.to_string()),
            ("FOM_TEST_NATS_SERVER", self.nats.program()),
            ("FOM_TEST_SMTP", self.mail.address()),
            ("FOM_TEST_MAIL_DIR", self.mail.dir().display().to_string()),
        ]
    }
}

/// `cargo xtask services`
pub(crate) fn run(interrupt: &Interrupt) -> Result<ExitCode> {
    let services = Services::start(Durability::Off, interrupt)?;
    for (name, value) in services.environment() {
        println!("export {name}='{value}'");
    }
    eprintln!("running until Ctrl-C; logs are in {}", services.dir.path().display());
    let Err(_interrupted) = wait::until::<Infallible>("Ctrl-C", Duration::MAX, interrupt, || Ok(None));
    Ok(ExitCode::SUCCESS)
}

/// All users can read it, because PostgreSQL does not run as root. Its path is short, because the path of a socket has at most 107 bytes.
pub(crate) fn temporary_dir() -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("fom-").permissions(Permissions::from_mode(0o755));
    builder.tempdir().context("cannot create a temporary directory")
}

/// Free ports. All are held until all are found, so that they differ.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let listeners: Vec<_> = (0..N)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()
        .context("no free port")?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ() {
        let mut ports = free_ports::<8>().expect("ports are free");
        ports.sort_unstable();
        assert!(ports.windows(2).all(|pair| pair[0] != pair[1]), "{ports:?}");
    }
}
