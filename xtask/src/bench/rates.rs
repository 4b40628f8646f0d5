//! How a row is measured: the service and its reference in turn.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{
    env::{BenchEnv, cores},
    row::{Measured, Row},
};

const WARM_UP: Duration = Duration::from_secs(1);

/// The duration and the choice of measurements.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often the service and the reference of a row are measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) rounds: u32,
    /// The seconds that each measurement takes
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Measure only rows whose title contains this text
    #[arg(long, default_value = "")]
    pub(super) only: String,
    /// Measure PocketBase, fastapi-users and better-auth too, which are installed from PyPI and npm below the target folder
    #[arg(long)]
    pub(super) peers: bool,
}

impl Options {
    pub(super) fn span(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    pub(super) fn includes(&self, title: &str) -> bool {
        title.contains(&self.only)
    }
}

/// The table of rates without its rows.
pub(super) fn rate_table(options: &Options) -> String {
    format!(
        "Medians of {} rounds of {} s on {} cores.\n\n\
         | what | a second | reference | a second | ratio | lowest–highest |\n|---|--:|---|--:|--:|---|\n",
        options.rounds,
        options.seconds,
        cores()
    )
}

/// Measures the reference and the service in turn, each when the service is idle.
pub(super) fn measure(row: &Row<'_>, env: &BenchEnv, options: &Options) -> Result<Measured> {
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
        ensure!(ours > 0.0 && reference > 0.0, "no request was answered in the time of the measurement");
        measured.add(ours, reference);
    }
    Ok(measured)
}
