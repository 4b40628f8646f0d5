//! `cargo xtask bench`: what the service does in a second, as a ratio to what the same machine does in a second without
//! the part that is measured. Both sides take turns in one run, so that a noisy machine disturbs both alike. To add a
//! row: a file beside `me.rs`, and its name in [`ROWS`]. How long an event takes, and what the service holds at rest, have
//! tables of their own.

mod account;
mod charts;
mod detections;
mod http;
mod latency;
mod login;
mod me;
mod nats;
mod pgbench;
mod rest;
mod row;
mod sessions;
mod stage;
mod wrk;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;

use self::{
    row::{Measured, Row},
    stage::Stage,
};
use crate::{interrupt::Interrupt, packages};

const ROWS: [fn(&Stage) -> Result<Row<'_>>; 5] = [me::row, login::row, sessions::row, charts::row, detections::row];
const WARM_UP: Duration = Duration::from_secs(1);

/// How long to measure, and what.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often each side of a row is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many seconds each measurement takes
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Only rows whose title contains this
    #[arg(long, default_value = "")]
    only: String,
}

pub(crate) fn run(options: &Options, interrupt: &Interrupt) -> Result<ExitCode> {
    packages::ensure_present(&[wrk::PACKAGE])?;
    let stage = Stage::set(interrupt)?;
    let rows = ROWS.iter().map(|row| row(&stage)).collect::<Result<Vec<_>>>()?;
    let mut table = Vec::new();
    for row in rows.iter().filter(|row| row.title.contains(&options.only)) {
        table.push(measure(row, &stage, options)?);
    }
    print(&table, options);
    if latency::TITLE.contains(&options.only) {
        let span = Duration::from_secs(options.seconds);
        stage.settle()?;
        latency::print(&latency::measure(&stage, options.rounds, span)?)?;
    }
    if rest::TITLE.contains(&options.only) {
        rest::measure_and_print(&stage, options.rounds)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reference, ours, reference, ours …, each from rest.
fn measure<'a>(row: &'a Row<'_>, stage: &Stage, options: &Options) -> Result<Measured<'a>> {
    let mut measured = Measured::new(row);
    stage.settle()?;
    (row.reference)(WARM_UP)?;
    (row.ours)(WARM_UP)?;
    let span = Duration::from_secs(options.seconds);
    for round in 1..=options.rounds {
        stage.settle()?;
        let reference = (row.reference)(span)?;
        stage.settle()?;
        let ours = (row.ours)(span)?;
        eprintln!("{} {round}/{}: {ours:.0} / {reference:.0} = {:.2}", row.title, options.rounds, ours / reference);
        measured.add(ours, reference);
    }
    Ok(measured)
}

fn print(table: &[Measured<'_>], options: &Options) {
    println!("Medians of {} rounds of {} s on {} cores.\n", options.rounds, options.seconds, stage::cores());
    println!("| what | a second | reference | a second | ratio | lowest–highest |");
    println!("|---|--:|---|--:|--:|---|");
    for row in table {
        println!("{row}");
    }
}
