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

/// The environment variables of a service.
type Settings = Vec<(&'static str, String)>;

/// Fields are dropped in this order, so that the service stops before its servers.
pub(crate) struct BenchEnv {
    service: Node,
    binary: PathBuf,
    references: PathBuf,
    settings: Settings,
    services: Services,
    account: Account,
    interrupt: Interrupt,
}

/// A running service. Dropping it stops the service.
pub(crate) struct Node {
    process: Process,
    pub(crate) port: u16,
    /// Its folder for data.
    pub(crate) data: PathBuf,
}

impl Node {
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}

impl BenchEnv {
    pub(crate) fn start(interrupt: &Interrupt) -> Result<Self> {
        let (binary, references) = (build("faceofmind", interrupt)?, build("bench-references", interrupt)?);
        let services = Services::start(Durability::On, interrupt)?;
        let settings = settings(&services)?;
        create_databases(&services, &binary, &settings)?;
        let service = serve(services.dir.path(), &binary, settings.clone(), interrupt)?;
        let account = Account::create(service.port, EMAIL, &services.mail.arrived(), interrupt)?;
        Ok(Self { service, binary, references, settings, services, account, interrupt: interrupt.clone() })
    }

    /// Starts another service on the embedded profile, or again on the data of an earlier one with this name.
    pub(crate) fn embedded(&self, name: &str, settings: &[(&'static str, &str)]) -> Result<Node> {
        self.start_node(name, with(vec![("OPERATOR_ADDR", String::new())], settings))
    }

    /// Starts another node of the service on the same servers, with these settings of its own.
    pub(crate) fn another_node(&self, name: &str, settings: &[(&'static str, &str)]) -> Result<Node> {
        self.start_node(name, with(self.settings.clone(), settings))
    }

    fn start_node(&self, name: &str, settings: Settings) -> Result<Node> {
        let dir = self.dir().join(name);
        fs::create_dir_all(&dir)?;
        serve(&dir, &self.binary, settings, &self.interrupt)
    }

    /// Creates an SQLite file with the schema of the embedded profile.
    pub(crate) fn sqlite_file(&self, name: &str) -> Result<PathBuf> {
        let data = self.dir().join(name);
        fs::create_dir_all(&data)?;
        process::output(Command::new(&self.binary).arg("migrate").env_clear().env("DATA_DIR", &data))?;
        Ok(data.join("faceofmind.db"))
    }

    /// The program of the references.
    pub(crate) fn references(&self) -> &Path {
        &self.references
    }

    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    pub(crate) fn port(&self) -> u16 {
        self.service.port
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    pub(crate) fn access_token(&self) -> &str {
        &self.account.access_token
    }

    /// Creates another account than the shared one.
    pub(crate) fn another_account(&self, email: &str) -> Result<Account> {
        Account::create(self.port(), email, &self.services.mail.arrived(), &self.interrupt)
    }

    pub(crate) fn services(&self) -> &Services {
        &self.services
    }

    pub(crate) fn dir(&self) -> &Path {
        self.services.dir.path()
    }

    pub(crate) fn service_id(&self) -> u32 {
        self.service.id()
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

/// Builds the program of a package, which has its name.
pub(crate) fn build(package: &str, interrupt: &Interrupt) -> Result<PathBuf> {
    let mut build = process::command(cargo(), Stop::Term, None);
    build.args(["build", "--release", "--package", package, "--bin", package]);
    let status = Process::start("cargo build", build, Stop::Term)?.wait(interrupt)?;
    ensure!(status.success(), "{package} does not build");
    Ok(Workspace::read()?.target_dir.join("release").join(package))
}

/// All environment variables of the service, but for those of its place. It inherits none.
fn settings(services: &Services) -> Result<Settings> {
    Ok(vec![
        ("FACEOFMIND_ENV", "production".to_owned()),
        ("HOST", "127.0.0.1".to_owned()),
        ("OPERATOR_ADDR", String::new()),
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
pub(crate) fn secret() -> Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes)).context("no randomness")?;
    Ok(BASE64_STANDARD.encode(bytes))
}

/// The reference database is a copy of the service's database before its first use.
fn create_databases(services: &Services, binary: &Path, settings: &Settings) -> Result<()> {
    let create = |sql: &str| services.postgres.query("postgres", sql);
    create(&format!("create database {DATABASE}"))?;
    let mut migrate = Command::new(binary);
    let data = services.dir.path().join("data");
    process::output(migrate.arg("migrate").env_clear().envs(settings.iter().cloned()).env("DATA_DIR", data))?;
    create(&format!("create database {REFERENCE_DATABASE} template {DATABASE}")).map(drop)
}

/// Replaces settings. An empty value means the default.
fn with(settings: Settings, own: &[(&'static str, &str)]) -> Settings {
    let kept = settings.into_iter().filter(|(name, _)| own.iter().all(|(replaced, _)| name != replaced));
    kept.chain(own.iter().map(|&(name, value)| (name, value.to_owned()))).collect()
}

/// Starts the service and waits until it is ready. Its log and its data are in `dir`.
fn serve(dir: &Path, binary: &Path, settings: Settings, interrupt: &Interrupt) -> Result<Node> {
    let ([port], data) = (free_ports()?, dir.join("data"));
    let mut command = process::command(binary, Stop::Term, None);
    command.arg("serve").env_clear().envs(settings).env("PORT", port.to_string()).env("DATA_DIR", &data);
    let mut process = Process::server("faceofmind", command, Stop::Term, dir)?;
    process.ready(interrupt, || http::get(port, "/ready").is_ok())?;
    Ok(Node { process, port, data })
}
