//! The CPU time of a request in the service and its servers. It depends less than a rate on what else the machine does. The differences between
//! the lines are what the layers cost.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    account::{Account, EMAIL},
    drain,
    env::BenchEnv,
    http, references,
    report::Section,
    wrk::Load,
};

pub(crate) const TITLE: &str = "CPU a request";
const CONNECTIONS: usize = 64;
/// More requests of 100 detections at once would wait for the database until some are refused.
const LARGE_CONNECTIONS: usize = 8;
/// Linux reports CPU time to programs in hundredths of a second, whatever its own clock.
const TICKS_PER_SECOND: f64 = 100.0;
const SESSIONS: &str = "/api/v1/sessions/";

/// A request, and the process that answers it.
struct Request {
    what: &'static str,
    load: Load,
    server: u32,
}

pub(crate) fn measure(env: &BenchEnv, span: Duration) -> Result<Section> {
    let node = env.another_node("cost-logging", &[("RUST_LOG", "")])?;
    let (hyper, port) = references::hyper(env, node.port, "/")?;
    let mut requests = vec![
        Request { what: "plain hyper, the response of `GET /`", load: get(env, port, "/")?, server: hyper.id() },
        Request { what: "`GET /` with its log line", load: get(env, node.port, "/")?, server: node.id() },
    ];
    requests.extend(of_service(env)?);
    let mut text =
        "Microseconds of CPU time, of all threads and of the servers' processes, over 64 connections (log-ins: 16, \
        100 detections: 8). Only the second request writes a log line.\n\n\
        | request | service | PostgreSQL | NATS | Redis |\n|---|--:|--:|--:|--:|\n"
            .to_owned();
    for request in &requests {
        let line = request.measure(env, span)?;
        eprintln!("{line}");
        text.push_str(&(line + "\n"));
    }
    Ok(Section { title: "CPU time of a request", text })
}

fn get(env: &BenchEnv, port: u16, path: &str) -> Result<Load> {
    Load::get_as(env, &env.account().at(port), path, CONNECTIONS)
}

fn of_service(env: &BenchEnv) -> Result<Vec<Request>> {
    let session = http::post(env.port(), SESSIONS, env.access_token(), &json!({}))?["id"].clone();
    let (one, detections) = (format!("{SESSIONS}{session}"), format!("{SESSIONS}{session}/detections"));
    let detected = json!({ "emotion": "happy", "confidence": 0.93 });
    let many = Value::from(vec![detected.clone(); 100]).to_string();
    let post = |path: &str, body: &str| Load::post(env, path, CONNECTIONS, body);
    let log_in = Load::post(env, "/api/v1/auth/login", 16, &Account::credentials(EMAIL).to_string())?;
    let request = |what, load| Request { what, load, server: env.service_id() };
    Ok(vec![
        request("`GET /`", get(env, env.port(), "/")?),
        request("`GET /` over new connections", get(env, env.port(), "/")?.over_new_connections()?),
        request("`GET /auth/me`", get(env, env.port(), "/api/v1/auth/me")?),
        request("`GET /sessions/{id}`", get(env, env.port(), &one)?),
        request("`GET /sessions/`", get(env, env.port(), SESSIONS)?),
        request("`POST /sessions/`", post(SESSIONS, "{}")?),
        request("`POST /sessions/{id}/detections`, one", post(&detections, &format!("[{detected}]"))?),
        request("`POST /sessions/{id}/detections`, 100", Load::post(env, &detections, LARGE_CONNECTIONS, &many)?),
        request("`POST /auth/login`", log_in),
    ])
}

impl Request {
    fn measure(&self, env: &BenchEnv, span: Duration) -> Result<String> {
        let servers = env.services();
        let processes = [self.server, servers.postgres.id(), servers.nats.id(), servers.redis.id()];
        drain::wait_until_published(env)?;
        let before = cpu_times(processes)?;
        let requests = self.load.count(span)?;
        drain::wait_until_published(env)?;
        let after = cpu_times(processes)?;
        let cells = (0..processes.len()).map(|process| (after[process] - before[process]) * 1e6 / requests as f64);
        let cells: Vec<_> = cells.map(|micros| format!("{micros:.0}")).collect();
        Ok(format!("| {} | {} |", self.what, cells.join(" | ")))
    }
}

/// The CPU seconds of each of these processes and of its children.
fn cpu_times(processes: [u32; 4]) -> Result<[f64; 4]> {
    let mut sums = [0.0; 4];
    for entry in fs::read_dir("/proc").context("no /proc, which Linux has")?.flatten() {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((id, parent, seconds)) = parse(&stat) else { continue };
        for (sum, process) in sums.iter_mut().zip(processes) {
            *sum += if [id, parent].contains(&process) { seconds } else { 0.0 };
        }
    }
    Ok(sums)
}

/// The id, the parent and the CPU seconds of a process, those of its children that have ended included.
fn parse(stat: &str) -> Option<(u32, u32, f64)> {
    let (id, _) = stat.split_once(' ')?;
    // The name before may hold spaces.
    let fields: Vec<_> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks: Option<Vec<f64>> = fields.get(11..15)?.iter().map(|field| field.parse().ok()).collect();
    Some((id.parse().ok()?, fields.get(1)?.parse().ok()?, ticks?.iter().sum::<f64>() / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_a_process_are_those_of_its_threads_and_its_ended_children() {
        let stat = "42 (a (b) c) S 7 42 42 0 -1 4194304 100 0 0 0 150 50 20 30 20 0 1 0 100 1000 10";
        assert_eq!(parse(stat), Some((42, 7, 2.5)));
        assert_eq!(parse("nothing"), None);
    }
}
