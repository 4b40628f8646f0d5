//! The service on its embedded default, started again and again on the same data: how soon it is ready, and what it holds at rest.

use std::{fs, process::Command, thread, time::Duration};

use anyhow::{Context, Result};

use super::{http, stage::Stage};
use crate::{
    process::{self, Process, Stop},
    services::free_ports,
    wait::Stopwatch,
};

pub(crate) const TITLE: &str = "at rest";
/// By then all that a start begins is over.
const TO_REST: Duration = Duration::from_secs(3);

/// One start.
struct Start {
    ready: Duration,
    resident_kib: u64,
}

/// Starts the service that often; the very first, which makes the data, does not count.
pub(crate) fn measure_and_print(stage: &Stage, rounds: u32) -> Result<()> {
    start(stage)?;
    let mut starts = (0..rounds).map(|_| start(stage)).collect::<Result<Vec<_>>>()?;
    println!(
        "\nThe service {TITLE}, on its embedded default, on existing data, asked every 10 ms; medians of {rounds} starts.\n"
    );
    println!("| what | median | lowest–highest |");
    println!("|---|--:|---|");
    starts.sort_by_key(|start| start.ready);
    print("ready, ms", starts.iter().map(|start| start.ready.as_millis()));
    starts.sort_by_key(|start| start.resident_kib);
    print("resident (VmRSS), KiB", starts.iter().map(|start| u128::from(start.resident_kib)));
    Ok(())
}

fn print(what: &str, sorted: impl ExactSizeIterator<Item = u128>) {
    let sorted: Vec<_> = sorted.collect();
    if let (Some(lowest), Some(highest)) = (sorted.first(), sorted.last()) {
        println!("| {what} | {} | {lowest}–{highest} |", sorted[sorted.len() / 2]);
    }
}

fn start(stage: &Stage) -> Result<Start> {
    let [port] = free_ports()?;
    let mut serve: Command = process::command(stage.binary(), Stop::Term, None);
    serve.env_clear().env("PORT", port.to_string()).env("OPERATOR_ADDR", "");
    serve.env("DATA_DIR", stage.dir().join("embedded"));
    let began = Stopwatch::start();
    let mut service = Process::server("embedded", serve, Stop::Term, stage.dir())?;
    service.ready(stage.interrupt(), || http::get(port, "/ready").is_ok())?;
    let ready = began.elapsed();
    thread::sleep(TO_REST);
    Ok(Start { ready, resident_kib: resident_kib(service.id())? })
}

/// What the kernel counts of its pages as in memory, those of its program's file included.
fn resident_kib(process: u32) -> Result<u64> {
    let status = format!("/proc/{process}/status");
    let text = fs::read_to_string(&status).with_context(|| format!("cannot read {status}, which Linux has"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    line.trim().trim_end_matches(" kB").parse().context("VmRSS is no number of kB")
}
