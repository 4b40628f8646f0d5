//! `cargo xtask bench`: the throughput of the service, as a ratio to a reference on the same machine. Service and reference take turns in one
//! run, so that noise of the machine affects both alike. To add a row, add a file beside `me.rs` and list it in [`ROWS`]. The latency beside
//! floods, that of events and the memory at rest have their own tables.

mod account;
mod charts;
mod detections;
mod env;
mod http;
mod latency;
mod login;
mod me;
mod nats;
mod overload;
mod pgbench;
mod rest;
mod row;
mod sessions;
mod shares;
mod wrk;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;

use self::{
    env::BenchEnv,
    row::{Measured, Row},
};
use crate::{interrupt::Interrupt, packages};

const ROWS: [fn(&BenchEnv) -> Result<Row<'_>>; 6] =
    [me::row, login::row, sessions::row, charts::row, detections::row, overload::row];
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
}

pub(crate) fn run(options: &Options, interrupt: &Interrupt) -> Result<ExitCode> {
    packages::ensure_present(&[wrk::PACKAGE])?;
    let env = BenchEnv::start(interrupt)?;
    let rows = ROWS.iter().map(|row| row(&env)).collect::<Result<Vec<_>>>()?;
    let mut table = Vec::new();
    for row in rows.iter().filter(|row| row.title.contains(&options.only)) {
        table.push(measure(row, &env, options)?);
    }
    print(&table, options);
    if shares::TITLE.contains(&options.only) {
        shares::measure_and_print(&env, Duration::from_secs(options.seconds))?;
    }
    if latency::TITLE.contains(&options.only) {
        let span = Duration::from_secs(options.seconds);
        env.wait_until_idle()?;
        latency::print(&latency::measure(&env, options.rounds, span)?)?;
    }
    if rest::TITLE.contains(&options.only) {
        rest::measure_and_print(&env, options.rounds)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures the reference and the service in turn, each when the service is idle.
fn measure<'a>(row: &'a Row<'_>, env: &BenchEnv, options: &Options) -> Result<Measured<'a>> {
    let mut measured = Measured::new(row);
    env.wait_until_idle()?;
    (row.reference)(WARM_UP)?;
    (row.ours)(WARM_UP)?;
    let span = Duration::from_secs(options.seconds);
    for round in 1..=options.rounds {
        env.wait_until_idle()?;
        let reference = (row.reference)(span)?;
        env.wait_until_idle()?;
        let ours = (row.ours)(span)?;
        eprintln!("{} {round}/{}: {ours:.0} / {reference:.0} = {:.2}", row.title, options.rounds, ours / reference);
        measured.add(ours, reference);
    }
    Ok(measured)
}

fn print(table: &[Measured<'_>], options: &Options) {
    println!("Medians of {} rounds of {} s on {} cores.\n", options.rounds, options.seconds, env::cores());
    println!("| what | a second | reference | a second | ratio | lowest–highest |");
    println!("|---|--:|---|--:|--:|---|");
    for row in table {
        println!("{row}");
    }
}
