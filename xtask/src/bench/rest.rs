//! The service on the embedded profile, started repeatedly on the same data: its time until ready and its memory at rest.

use std::thread;

use anyhow::Result;

use super::{
    env::BenchEnv,
    memory::{REST_TIME, resident_kib},
    report::Section,
    row::{median, sorted},
};
use crate::wait::Stopwatch;

pub(crate) const TITLE: &str = "at rest";

struct Start {
    ready_ms: f64,
    resident_kib: f64,
}

/// Starts the service `rounds` times. A first start, which creates the data, does not count.
pub(crate) fn measure(env: &BenchEnv, rounds: u32) -> Result<Section> {
    start(env)?;
    let starts = (0..rounds).map(|_| start(env)).collect::<Result<Vec<_>>>()?;
    let text = format!(
        "The service {TITLE}, on its embedded default, on existing data, asked every 10 ms; medians of {rounds} starts.\n\n\
         | what | median | lowest–highest |\n|---|--:|---|\n{}{}",
        line("ready, ms", starts.iter().map(|start| start.ready_ms)),
        line("resident (VmRSS), KiB", starts.iter().map(|start| start.resident_kib)),
    );
    Ok(Section { title: "Start and rest", text })
}

fn line(what: &str, figures: impl Iterator<Item = f64>) -> String {
    let figures = sorted(figures);
    let (lowest, highest) = (figures.first().unwrap_or(&f64::NAN), figures.last().unwrap_or(&f64::NAN));
    format!("| {what} | {:.0} | {lowest:.0}–{highest:.0} |\n", median(&figures))
}

fn start(env: &BenchEnv) -> Result<Start> {
    let began = Stopwatch::start();
    let service = env.embedded("embedded", &[])?;
    let ready = began.elapsed();
    thread::sleep(REST_TIME);
    Ok(Start { ready_ms: ready.as_secs_f64() * 1000.0, resident_kib: resident_kib(service.id())? })
}
