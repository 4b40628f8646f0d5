//! The memory of the service on the production profile: at rest, after log-ins, and with idle connections. Each state has a process of its own.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::{
    account::{Account, EMAIL},
    env::{BenchEnv, Node},
    report::Section,
    wrk::Load,
};

pub(crate) const TITLE: &str = "memory";
/// All work is done after this time, and the allocator has given back what that needed.
pub(super) const REST_TIME: Duration = Duration::from_secs(12);
const CONNECTIONS: usize = 16;
/// With the default of 5 s a measurement, about 10,000 log-ins on two cores.
const LOGIN_SPANS: u32 = 30;
/// The most that the service takes.
const IDLE_CONNECTIONS: usize = 10_000;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Measures all states. The log-ins go on for a multiple of `span`.
pub(crate) fn measure(env: &BenchEnv, span: Duration) -> Result<Section> {
    let resting = env.another_node("memory-logins", &[])?;
    let at_rest = resident_at_rest(&resting)?;
    let logins = log_in(env, &resting, span * LOGIN_SPANS)?;
    let after_logins = resident_at_rest(&resting)?;
    drop(resting);
    let (open, with_connections) = with_idle_connections(&env.another_node("memory-connections", &[])?)?;
    let after = format!("{} s after {logins} log-ins over {CONNECTIONS} connections", REST_TIME.as_secs());
    let with = format!("with {open} idle connections, each after one request");
    let rows = [("at rest", at_rest), (&after, after_logins), (&with, with_connections)];
    Ok(Section { title: "Memory", text: table(&rows) })
}

fn table(rows: &[(&str, f64)]) -> String {
    let head = "Resident memory (VmRSS) on the production profile.\n\n| when | MiB |\n|---|--:|\n";
    let rows = rows.iter().map(|(when, kib)| format!("| {when} | {:.1} |\n", kib / 1024.0));
    head.to_owned() + &rows.collect::<String>()
}

fn resident_at_rest(node: &Node) -> Result<f64> {
    thread::sleep(REST_TIME);
    resident_kib(node.id())
}

/// Logs in for `span`, and returns how often.
fn log_in(env: &BenchEnv, node: &Node, span: Duration) -> Result<u64> {
    let credentials = Account::credentials(EMAIL).to_string();
    let login = Load::post_as(env, &env.account().at(node.port), "/api/v1/auth/login", CONNECTIONS, &credentials)?;
    login.count(span)
}

/// Opens as many connections as are allowed, and returns their number and the memory meanwhile.
fn with_idle_connections(node: &Node) -> Result<(usize, f64)> {
    // The files of this process itself.
    let allowed = usize::try_from(rlimit::increase_nofile_limit(u64::MAX)?)?.saturating_sub(100);
    let connections = (0..allowed.min(IDLE_CONNECTIONS)).map(|_| connect(node.port)).collect::<Result<Vec<_>>>()?;
    Ok((connections.len(), resident_kib(node.id())?))
}

/// Connects and has one request answered.
fn connect(port: u16) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")?;
    let mut response = [0; 1024];
    let length = stream.read(&mut response)?;
    ensure!(response[..length].starts_with(b"HTTP/1.1 200"), "a connection was refused");
    Ok(stream)
}

/// The resident memory that the kernel reports, including the pages of the program's file.
pub(super) fn resident_kib(process: u32) -> Result<f64> {
    let status = format!("/proc/{process}/status");
    let text = fs::read_to_string(&status).with_context(|| format!("cannot read {status}, which Linux has"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    line.trim().trim_end_matches(" kB").parse().context("VmRSS is no number of kB")
}
