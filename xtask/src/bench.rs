//! `cargo xtask bench`: the throughput of the service, as a ratio to a reference on the same machine. Service and reference take turns in one
//! run, so that noise of the machine affects both alike. To add a row, add a file beside `me.rs` and list it in [`ROWS`]. The latency beside
//! floods, that of events, the start and the memory have their own tables. A run of all measurements writes docs/benchmarks.md.

pub(crate) mod account;
mod bare;
mod charts;
mod cost;
mod detection;
mod detections;
mod drain;
mod embedded;
mod env;
pub(crate) mod http;
mod latency;
mod login;
pub(crate) mod machine;
mod me;
mod memory;
mod nats;
mod overload;
mod peers;
mod pgbench;
mod rates;
mod references;
mod report;
mod rest;
pub(crate) mod row;
mod session;
mod sessions;
mod shares;
mod wrk;

use std::process::ExitCode;

use anyhow::Result;

use self::{
    env::BenchEnv,
    rates::{measure, rate_table},
    report::{Report, Section},
    row::Row,
};
pub(crate) use self::{env::build, rates::Options};
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

pub(crate) fn run(options: &Options, interrupt: &Interrupt) -> Result<ExitCode> {
    packages::ensure_present(&[wrk::PACKAGE])?;
    let env = BenchEnv::start(interrupt)?;
    let mut report = Report::default();
    report.add(Section { title: "Throughput", text: rates(&env, &ROWS, options)? });
    if options.peers {
        report.add(peers::section(&env, options)?);
        report.add_facts(peers::versions());
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
    let mut text = rate_table(options);
    for prepare in rows {
        let row = prepare(env)?;
        if options.includes(row.title) {
            text.push_str(&format!("{}\n", measure(&row, env, options)?));
        }
    }
    Ok(text)
}
