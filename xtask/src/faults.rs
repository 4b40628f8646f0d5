//! `cargo xtask faults`: the long stories, with the programs that operators put around the service: pgbouncer, nginx and haproxy.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::{
    interrupt::Interrupt,
    packages::{self, Package},
    process::{self, Process, Stop},
    services::{Durability, PGBOUNCER, Pgbouncer, Services, free_ports},
    workspace::cargo,
};

const NGINX: Package =
    Package { name: "nginx", is_present: || process::find("nginx").is_some(), daemon: Some("nginx") };
const HAPROXY: Package =
    Package { name: "haproxy", is_present: || process::find("haproxy").is_some(), daemon: Some("haproxy") };

pub(crate) fn run(args: &[String], interrupt: &Interrupt) -> Result<ExitCode> {
    packages::ensure_present(&[PGBOUNCER, NGINX, HAPROXY])?;
    let services = Services::start(Durability::Off, interrupt)?;
    let [port] = free_ports()?;
    let pgbouncer = Pgbouncer::start(port, services.postgres.port(), services.dir.path(), interrupt)?;
    let mut tests = process::command(cargo(), Stop::Term, None);
    tests.args(["test", "--package", "faceofmind", "--features", "faults", "--test", "faults"]).args(args);
    tests.envs(services.environment()).env("FOM_TEST_PGBOUNCER", pgbouncer.address());
    add_path(&mut tests, "FOM_TEST_NGINX", "nginx");
    add_path(&mut tests, "FOM_TEST_HAPROXY", "haproxy");
    let status = Process::start("cargo test", tests, Stop::Term)?.wait(interrupt)?;
    Ok(process::exit_code(status))
}

fn add_path(command: &mut Command, variable: &str, program: &str) {
    command.envs(process::find(program).map(|path| (variable, path)));
}
