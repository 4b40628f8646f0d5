//! The references that are programs of their own, in the package `bench-references`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};

use super::{env::BenchEnv, http};
use crate::{
    process::{self, Process, Stop},
    services::free_ports,
};

/// Not sent by the server of the reference itself.
const SET_BY_SERVER: [&str; 3] = ["connection", "content-length", "date"];

/// Starts plain hyper, which answers every request with the response of the service at `port` to `GET path`.
pub(crate) fn hyper(env: &BenchEnv, port: u16, path: &str) -> Result<(Process, u16)> {
    let file = env.dir().join("response");
    fs::write(&file, same_response(&http::response(port, path)?)?)?;
    let [port] = free_ports()?;
    let mut server = process::command(env.references(), Stop::Term, None);
    server.arg("http").arg(port.to_string()).arg(file);
    let mut server = Process::server("hyper", server, Stop::Term, env.dir())?;
    server.ready(env.interrupt(), || process::accepts(port))?;
    Ok((server, port))
}

/// The headers that the reference is to send, an empty line, and the body.
fn same_response(response: &str) -> Result<String> {
    let (head, body) = response.split_once("\r\n\r\n").context("no HTTP response")?;
    let is_kept = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default();
        SET_BY_SERVER.iter().all(|set| !name.eq_ignore_ascii_case(set))
    };
    let kept: Vec<_> = head.lines().filter(is_kept).collect();
    Ok(format!("{}\n\n{body}", kept.join("\n")))
}

/// The messages that async-nats alone publishes in a second.
pub(crate) fn jetstream(env: &BenchEnv, window: usize, messages: usize, payload: &Path) -> Result<f64> {
    let mut publish = Command::new(env.references());
    publish.arg("jetstream").arg(env.services().nats.url(0)).arg(window.to_string()).arg(messages.to_string());
    rate(publish.arg(payload))
}

/// The transactions of a session and its event that sqlx alone commits to an SQLite file in a second.
pub(crate) fn sqlite(env: &BenchEnv, database: &Path, envelope: &Path, span: Duration) -> Result<f64> {
    let mut insert = Command::new(env.references());
    rate(insert.arg("sqlite").arg(database).arg(span.as_secs().to_string()).arg(envelope))
}

/// The hashes of bcrypt in a second, on a thread a core.
pub(crate) fn bcrypt(env: &BenchEnv, password: &str, cost: u32, span: Duration) -> Result<f64> {
    let mut hash = Command::new(env.references());
    rate(hash.arg("bcrypt").arg(password).arg(cost.to_string()).arg(span.as_secs().to_string()))
}

/// A hash of bcrypt as the predecessor's API stored it.
pub(crate) fn bcrypt_hash(env: &BenchEnv, password: &str, cost: u32) -> Result<String> {
    let mut hash = Command::new(env.references());
    let hash = process::output(hash.arg("bcrypt-hash").arg(password).arg(cost.to_string()))?;
    Ok(hash.trim().to_owned())
}

/// Writes the envelope of an event that the service wrote, so that both sides write the same number of bytes.
pub(crate) fn envelope(env: &BenchEnv, name: &str) -> Result<PathBuf> {
    let file = env.dir().join(format!("{name}-envelope"));
    let select = "select envelope from events where envelope like '%session.started%' order by seq desc limit 1";
    fs::write(&file, env.query(select)?)?;
    Ok(file)
}

fn rate(program: &mut Command) -> Result<f64> {
    process::output(program)?.trim().parse().context("the reference printed no rate")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_sends_the_headers_that_its_server_does_not_set() {
        let response = "Content-Type: application/json\r\nDate: today\r\ncontent-length: 2\r\nX-A: b\r\n\r\n{}";
        assert_eq!(same_response(response).ok().as_deref(), Some("Content-Type: application/json\nX-A: b\n\n{}"));
    }
}
