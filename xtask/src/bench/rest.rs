//! The service on the embedded profile, started repeatedly on the same data: its time until ready and its memory at rest.

use std::{fs, thread, time::Duration};

use anyhow::{Context, Result};

use super::{
    env::BenchEnv,
    row::{median, sorted},
};
use crate::wait::Stopwatch;

pub(crate) const TITLE: &str = "at rest";
/// All work of a start is done after this time, and the allocator has given back what that needed.
const REST_TIME: Duration = Duration::from_secs(12);

struct Start {
    ready_ms: f64,
    resident_kib: f64,
}

/// Starts the service `rounds` times. A first start, which creates the data, does not count.
pub(crate) fn measure_and_print(env: &BenchEnv, rounds: u32) -> Result<()> {
    start(env)?;
    let starts = (0..rounds).map(|_| start(env)).collect::<Result<Vec<_>>>()?;
    println!(
        "\nThe service {TITLE}, on its embedded default, on existing data, asked every 10 ms; medians of {rounds} starts.\n"
    );
    println!("| what | median | lowest–highest |");
    println!("|---|--:|---|");
    print("ready, ms", starts.iter().map(|start| start.ready_ms));
    print("resident (VmRSS), KiB", starts.iter().map(|start| start.resident_kib));
    Ok(())
}

fn print(what: &str, figures: impl Iterator<Item = f64>) {
    let figures = sorted(figures);
    let (lowest, highest) = (figures.first().unwrap_or(&f64::NAN), figures.last().unwrap_or(&f64::NAN));
    println!("| {what} | {:.0} | {lowest:.0}–{highest:.0} |", median(&figures));
}

fn start(env: &BenchEnv) -> Result<Start> {
    let began = Stopwatch::start();
    let service = env.embedded()?;
    let ready = began.elapsed();
    thread::sleep(REST_TIME);
    Ok(Start { ready_ms: ready.as_secs_f64() * 1000.0, resident_kib: resident_kib(service.id())? })
}

/// The resident memory that the kernel reports, including the pages of the program's file.
fn resident_kib(process: u32) -> Result<f64> {
    let status = format!("/proc/{process}/status");
    let text = fs::read_to_string(&status).with_context(|| format!("cannot read {status}, which Linux has"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    line.trim().trim_end_matches(" kB").parse().context("VmRSS is no number of kB")
}
