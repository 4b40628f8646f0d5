//! fastapi-users on PostgreSQL, with its Argon2id and its JWT, in as many processes of uvicorn as there are cores.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::json;

use super::{LOG_IN_CONNECTIONS, Peer, RECORD_CONNECTIONS, Running};
use crate::{
    bench::{
        account::{Account, EMAIL, PASSWORD},
        env::{BenchEnv, cores, secret},
        http,
        wrk::Load,
    },
    packages::{self, Package},
    process::{self, Process, Stop},
    services::free_ports,
};

pub(super) const PEER: Peer = Peer {
    name: "fastapi-users",
    log_in: "fastapi-users, a log-in with its Argon2id",
    record: "fastapi-users, the own record",
    packages: || PACKAGES.into(),
    start,
};
/// From PyPI. What they depend on comes in its newest version that fits.
const PACKAGES: [&str; 8] = [
    "fastapi-users==15.0.5",
    "fastapi-users-db-sqlalchemy==7.0.0",
    "fastapi==0.165.0",
    "uvicorn==0.54.0",
    "uvloop==0.23.0",
    "httptools==0.9.0",
    "sqlalchemy==2.0.58",
    "asyncpg==0.32.0",
];
const PYTHON: Package = Package { name: "python3", is_present: || process::find("python3").is_some(), daemon: None };
const APP: &str = include_str!("../../../peers/fastapi_users_app.py");
const DATABASE: &str = "peer_fastapi_users";

fn start(env: &BenchEnv) -> Result<Running> {
    packages::ensure_present(&[PYTHON])?;
    let installed = super::folder("fastapi-users", &PACKAGES, |dir| packages::install_all_from_pypi(&PACKAGES, dir))?;
    let ([port], dir) = (free_ports()?, env.dir().join("fastapi-users"));
    fs::create_dir_all(&dir)?;
    fs::write(dir.join("app.py"), APP)?;
    let settings = settings(env, installed)?;
    process::output(Command::new("python3").arg(dir.join("app.py")).envs(settings.clone()))?;
    let mut process = Process::server("uvicorn", uvicorn(port, &dir, settings), Stop::Term, &dir)?;
    process.ready(env.interrupt(), || http::get(port, "/openapi.json").is_ok())?;
    http::post(port, "/auth/register", "", &json!({ "email": EMAIL, "password": PASSWORD }))?;
    let form = format!("username={}&password={PASSWORD}", EMAIL.replace('@', "%40"));
    let login = http::post_form(port, "/auth/login", &form)?;
    let access_token = login["access_token"].as_str().context("no access token")?.to_owned();
    let user = Account { port, access_token };
    Ok(Running {
        _process: process,
        log_in: Load::post_as(env, &user, "/auth/login", LOG_IN_CONNECTIONS, &form)?.with_type(http::FORM)?.patient(),
        record: Load::get_as(env, &user, "/users/me", RECORD_CONNECTIONS)?.patient(),
    })
}

/// A database of its own on the server of the service.
fn settings(env: &BenchEnv, installed: PathBuf) -> Result<[(&'static str, String); 3]> {
    env.services().postgres.query("postgres", &format!("create database {DATABASE}"))?;
    let url = env.services().postgres.url().replacen("postgres:", "postgresql+asyncpg:", 1);
    Ok([
        ("PYTHONPATH", installed.display().to_string()),
        ("DATABASE_URL", format!("{url}/{DATABASE}")),
        ("SECRET", secret()?),
    ])
}

fn uvicorn(port: u16, dir: &Path, settings: [(&'static str, String); 3]) -> Command {
    let mut server = process::command("python3", Stop::Term, None);
    server.args(["-m", "uvicorn", "app:app", "--host", "127.0.0.1", "--loop", "uvloop", "--http", "httptools"]);
    server.args(["--no-access-log", "--log-level", "warning", "--port", &port.to_string()]);
    server.args(["--workers", &cores().to_string(), "--app-dir"]).arg(dir).envs(settings);
    server
}
