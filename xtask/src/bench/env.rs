//! The environment of the measurements: a release build of the service on private servers, and an account.

use std::{
    fs::{self, File},
    io::Read,
    num::NonZero,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};

use super::{
    account::{Account, EMAIL},
    http,
};
use crate::{
    interrupt::Interrupt,
    process::{self, Process, Stop},
    services::{Durability, Services, free_ports},
    wait,
    workspace::{Workspace, cargo},
};

const DATABASE: &str = "bench";
/// A database with the same schema, for measurements without the service.
pub(crate) const REFERENCE_DATABASE: &str = "bench_reference";
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// Fields are dropped in this order, so that the service stops before its servers.
pub(crate) struct BenchEnv {
    _service: Process,
    binary: PathBuf,
    services: Services,
    port: u16,
    account: Account,
    interrupt: Interrupt,
}

impl BenchEnv {
    pub(crate) fn start(interrupt: &Interrupt) -> Result<Self> {
        let binary = build(interrupt)?;
        let services = Services::start(Durability::On, interrupt)?;
        let [port] = free_ports()?;
        let environment = environment(&services, port)?;
        create_databases(&services, &binary, &environment)?;
        let service = serve(services.dir.path(), &binary, &environment, port, interrupt)?;
        let account = Account::create(port, EMAIL, &services.mail, interrupt)?;
        Ok(Self { _service: service, binary, services, port, account, interrupt: interrupt.clone() })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts another service on the embedded profile, with its data in another folder.
    pub(crate) fn embedded(&self) -> Result<Process> {
        let [port] = free_ports()?;
        let dir = self.dir().join("embedded");
        fs::create_dir_all(&dir)?;
        let data = dir.join("data").display().to_string();
        let environment = [("PORT", port.to_string()), ("OPERATOR_ADDR", String::new()), ("DATA_DIR", data)];
        serve(&dir, &self.binary, &environment, port, &self.interrupt)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    pub(crate) fn access_token(&self) -> &str {
        &self.account.access_token
    }

    /// Creates another account than the shared one.
    pub(crate) fn another_account(&self, email: &str) -> Result<Account> {
        Account::create(self.port, email, &self.services.mail, &self.interrupt)
    }

    pub(crate) fn services(&self) -> &Services {
        &self.services
    }

    pub(crate) fn dir(&self) -> &Path {
        self.services.dir.path()
    }

    /// Queries the service's database.
    pub(crate) fn query(&self, sql: &str) -> Result<String> {
        self.services.postgres.query(DATABASE, sql)
    }

    /// Waits until the service has published all events and sent all mails, so that no measurement affects the next one.
    pub(crate) fn wait_until_idle(&self) -> Result<()> {
        let remaining = "select (select count(*) from events where position is null) + (select count(*) from mail_intents where dead_at is null)";
        wait::until("all events published and mails sent", IDLE_TIMEOUT, &self.interrupt, || {
            Ok((self.query(remaining)? == "0").then_some(()))
        })
    }
}

pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

fn build(interrupt: &Interrupt) -> Result<PathBuf> {
    let mut build = process::command(cargo(), Stop::Term, None);
    build.args(["build", "--release", "--package", "faceofmind", "--bin", "faceofmind"]);
    let status = Process::start("cargo build", build, Stop::Term)?.wait(interrupt)?;
    ensure!(status.success(), "the service does not build");
    Ok(Workspace::read()?.target_dir.join("release/faceofmind"))
}

/// All environment variables of the service. It inherits none.
fn environment(services: &Services, port: u16) -> Result<Vec<(&'static str, String)>> {
    Ok(vec![
        ("FACEOFMIND_ENV", "production".to_owned()),
        ("HOST", "127.0.0.1".to_owned()),
        ("PORT", port.to_string()),
        ("OPERATOR_ADDR", String::new()),
        ("DATA_DIR", services.dir.path().join("data").display().to_string()),
        ("DATABASE_URL", format!("{}/{DATABASE}", services.postgres.url())),
        ("REDIS_URL", format!("{}/0", services.redis.url())),
        ("NATS_URL", services.nats.url(0)),
        ("SMTP_HOST", "127.0.0.1".to_owned()),
        ("SMTP_PORT", services.mail.port().to_string()),
        ("SMTP_EMAIL", "no-reply@example.com".to_owned()),
        ("SMTP_TLS", "none".to_owned()),
        ("JWT_SECRET_TOKEN", secret()?),
        ("JWT_ACCESS_TOKEN", secret()?),
        ("JWT_REFRESH_TOKEN", secret()?),
        ("DATA_KEY", format!("bench:{}", secret()?)),
        ("RATE_LIMITS", "off".to_owned()),
        ("TRUSTED_PROXIES", "127.0.0.1".to_owned()),
        ("RUST_LOG", "warn".to_owned()),
    ])
}

/// 32 random bytes in base64.
fn secret() -> Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes)).context("no randomness")?;
    Ok(BASE64_STANDARD.encode(bytes))
}

/// The reference database is a copy of the service's database before its first use.
fn create_databases(services: &Services, binary: &Path, environment: &[(&str, String)]) -> Result<()> {
    let create = |sql: &str| services.postgres.query("postgres", sql);
    create(&format!("create database {DATABASE}"))?;
    let mut migrate = Command::new(binary);
    process::output(migrate.arg("migrate").env_clear().envs(environment.iter().cloned()))?;
    create(&format!("create database {REFERENCE_DATABASE} template {DATABASE}")).map(drop)
}

/// Starts the service and waits until it is ready. Its log is in `dir`.
fn serve(
    dir: &Path,
    binary: &Path,
    environment: &[(&'static str, String)],
    port: u16,
    interrupt: &Interrupt,
) -> Result<Process> {
    let mut command = process::command(binary, Stop::Term, None);
    command.arg("serve").env_clear().envs(environment.iter().cloned());
    let mut service = Process::server("faceofmind", command, Stop::Term, dir)?;
    service.ready(interrupt, || http::get(port, "/ready").is_ok())?;
    Ok(service)
}
