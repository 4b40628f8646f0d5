//! PostgreSQL with a private cluster.

use std::{
    cmp::Reverse,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    interrupt::Interrupt,
    packages::{self, Package},
    process::{self, Process, Stop},
};

pub(crate) const PACKAGE: Package =
    Package { name: "postgresql", is_present: || program("initdb").is_some(), daemon: Some("postgresql") };

/// Each test has its own pool.
const MAX_CONNECTIONS: &str = "max_connections=400";

/// Whether a commit waits for the disk. Tests do not need that; a benchmark does.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Durability {
    Off,
    On,
}

pub(crate) struct Postgres {
    process: Process,
    port: u16,
}

impl Postgres {
    pub(crate) fn start(port: u16, durability: Durability, dir: &Path) -> Result<Self> {
        let data = create_dir(&dir.join("postgres"))?;
        let mut initdb = command("initdb", &data)?;
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]);
        process::output(&mut initdb).context("cannot create a PostgreSQL cluster")?;
        let mut server = command("postgres", &data)?;
        server.args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", MAX_CONNECTIONS]);
        server.arg("-c").arg(format!("unix_socket_directories={}", data.display()));
        if durability == Durability::Off {
            server.args(["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]);
        }
        Ok(Self { process: Process::server("postgresql", server, Stop::Int, dir)?, port })
    }

    /// The id of the process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn ready(&mut self, interrupt: &Interrupt) -> Result<()> {
        let pg_isready = program("pg_isready").context("pg_isready is missing")?;
        let port = self.port.to_string();
        let is_ready = || {
            let status = Command::new(&pg_isready).args(["--quiet", "--host=127.0.0.1", "--port", &port]).status();
            status.is_ok_and(|status| status.success())
        };
        self.process.ready(interrupt, is_ready)
    }

    /// The URL without the name of a database.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The rows of a query as unaligned text.
    pub(crate) fn query(&self, database: &str, sql: &str) -> Result<String> {
        let mut psql = Command::new(program("psql").context("psql is missing")?);
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]);
        psql.arg("--dbname").arg(format!("{}/{database}", self.url())).args(["--command", sql]);
        Ok(process::output(&mut psql)?.trim_end().to_owned())
    }
}

/// The path of a program of PostgreSQL: that of the server on the PATH, else Debian's newest version, which is not on the PATH.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let server = process::find("postgres").map(|server| server.with_file_name(name));
    server.filter(|file| file.is_file()).or_else(|| newest_of_debian(name)).or_else(|| process::find(name))
}

fn newest_of_debian(name: &str) -> Option<PathBuf> {
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().collect();
    versions.sort_by_key(|version| Reverse(version.file_name().to_string_lossy().parse::<u32>().unwrap_or(0)));
    versions.iter().map(|version| version.path().join("bin").join(name)).find(|file| file.is_file())
}

/// PostgreSQL does not run as root. Then it runs as the user that its package creates.
fn user() -> Option<&'static str> {
    packages::is_root().then_some("postgres")
}

fn command(name: &str, data: &Path) -> Result<Command> {
    let program = program(name).with_context(|| format!("{name} is missing"))?;
    let mut command = process::command(program, Stop::Int, user());
    command.arg("-D").arg(data).current_dir(data);
    Ok(command)
}

fn create_dir(dir: &Path) -> Result<PathBuf> {
    let mut install = Command::new("install");
    install.args(["-d", "-m", "700"]).args(user().map(|user| format!("--owner={user}"))).arg(dir);
    process::output(&mut install)?;
    Ok(dir.to_owned())
}
