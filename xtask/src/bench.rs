//! `cargo xtask bench`: the throughput of the service, as a ratio to a reference on the same machine. Service and reference take turns in one
//! run, so that noise of the machine affects both alike. To add a row, add a file beside `me.rs` and list it in [`ROWS`]. The latency beside
//! floods, that of events, the start and the memory have their own tables. A run of all measurements writes docs/benchmarks.md.

mod account;
mod bare;
mod charts;
mod cost;
mod detection;
mod detections;
mod drain;
mod embedded;
mod env;
mod http;
mod latency;
mod login;
mod machine;
mod me;
mod memory;
mod nats;
mod overload;
mod peers;
mod pgbench;
mod references;
mod report;
mod rest;
mod row;
mod session;
mod sessions;
mod shares;
mod wrk;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;

use self::{
    env::BenchEnv,
    report::{Report, Section},
    row::{Measured, Row},
};
use crate::{interrupt::Interrupt, packages};

const ROWS: [fn(&BenchEnv) -> Result<Row<'_>>; 12] = [
    bare::row,
    me::row,
    login::row,
    login::bcrypt_row,
    session::row,
    sessions::row,
    detection::row,
    detections::row,
    charts::row,
    drain::row,
    embedded::row,
    overload::row,
];
/// The rows of `--peers`.
const PEERS: [fn(&BenchEnv) -> Result<Row<'_>>; 2] = [peers::log_in, peers::me];
const WARM_UP: Duration = Duration::from_secs(1);

/// The duration and the choice of measurements.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often the service and the reference of a row are measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The seconds that each measurement takes
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Measure only rows whose title contains this text
    #[arg(long, default_value = "")]
    only: String,
    /// Measure PocketBase too, which is installed from PyPI below the target folder
    #[arg(long)]
    peers: bool,
}

impl Options {
    fn span(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    fn includes(&self, title: &str) -> bool {
        title.contains(&self.only)
    }
}

pub(crate) fn run(options: &Options, interrupt: &Interrupt) -> Result<ExitCode> {
    packages::ensure_present(&[wrk::PACKAGE])?;
    let env = BenchEnv::start(interrupt)?;
    let mut report = Report::default();
    report.add(Section { title: "Throughput", text: rates(&env, &ROWS, options)? });
    if options.peers {
        report.add(Section { title: "Peers", text: rates(&env, &PEERS, options)? });
    }
    if options.includes(cost::TITLE) {
        report.add(cost::measure(&env, options.span())?);
    }
    if options.includes(shares::TITLE) {
        report.add(shares::measure(&env, options.span())?);
    }
    if options.includes(latency::TITLE) {
        env.wait_until_idle()?;
        report.add(latency::section(&latency::measure(&env, options.rounds, options.span())?)?);
    }
    if options.includes(rest::TITLE) {
        report.add(rest::measure(&env, options.rounds)?);
    }
    if options.includes(memory::TITLE) {
        report.add(memory::measure(&env, options.span())?);
    }
    if options.only.is_empty() {
        report.write()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures the rows one after the other. What only one of them needs runs only meanwhile.
fn rates(env: &BenchEnv, rows: &[fn(&BenchEnv) -> Result<Row<'_>>], options: &Options) -> Result<String> {
    let mut text = format!(
        "Medians of {} rounds of {} s on {} cores.\n\n\
         | what | a second | reference | a second | ratio | lowest–highest |\n|---|--:|---|--:|--:|---|\n",
        options.rounds,
        options.seconds,
        env::cores()
    );
    for prepare in rows {
        let row = prepare(env)?;
        if options.includes(row.title) {
            text.push_str(&format!("{}\n", measure(&row, env, options)?));
        }
    }
    Ok(text)
}

/// Measures the reference and the service in turn, each when the service is idle.
fn measure(row: &Row<'_>, env: &BenchEnv, options: &Options) -> Result<Measured> {
    let mut measured = Measured::new(row);
    env.wait_until_idle()?;
    (row.reference)(WARM_UP)?;
    (row.ours)(WARM_UP)?;
    for round in 1..=options.rounds {
        env.wait_until_idle()?;
        let reference = (row.reference)(options.span())?;
        env.wait_until_idle()?;
        let ours = (row.ours)(options.span())?;
        eprintln!("{} {round}/{}: {ours:.0} / {reference:.0} = {:.2}", row.title, options.rounds, ours / reference);
        measured.add(ours, reference);
    }
    Ok(measured)
}
