//! pgbench on a database with the service's schema. No publisher reads what it writes.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result};

use super::env::{BenchEnv, REFERENCE_DATABASE, cores};
use crate::{
    process,
    services::{Postgres, postgres_program},
};

/// A script that `clients` clients run in a loop.
pub(crate) struct Script<'a> {
    postgres: &'a Postgres,
    file: PathBuf,
    clients: usize,
    variables: Vec<String>,
}

impl<'a> Script<'a> {
    /// `variables` are `name=value`.
    pub(crate) fn new(
        env: &'a BenchEnv,
        name: &str,
        text: &str,
        clients: usize,
        variables: Vec<String>,
    ) -> Result<Self> {
        let file = env.dir().join(format!("{name}.sql"));
        fs::write(&file, text).context("cannot write pgbench's script")?;
        Ok(Self { postgres: &env.services().postgres, file, clients, variables })
    }

    /// Transactions a second.
    pub(crate) fn run(&self, span: Duration) -> Result<f64> {
        let mut pgbench = Command::new(postgres_program("pgbench").context("pgbench is missing")?);
        pgbench.args(["--no-vacuum", "--protocol=prepared", "--host=127.0.0.1", "--username=postgres"]);
        pgbench.arg(format!("--port={}", self.postgres.port())).arg(format!("--client={}", self.clients));
        pgbench.arg(format!("--jobs={}", cores())).arg(format!("--time={}", span.as_secs()));
        pgbench.args(self.variables.iter().flat_map(|variable| ["--define", variable]));
        pgbench.arg("--file").arg(&self.file).arg(REFERENCE_DATABASE);
        rate(&process::output(&mut pgbench)?)
    }
}

/// Inserts a user into the reference database and gives the id.
pub(crate) fn user(env: &BenchEnv, email: &str) -> Result<String> {
    env.services().postgres.query(
        REFERENCE_DATABASE,
        &format!(
            "insert into users (email, first_name, last_name, created_at) values ('{email}', '', '', now()) returning id"
        ),
    )
}

fn rate(report: &str) -> Result<f64> {
    let line = report.lines().find_map(|line| line.strip_prefix("tps = "));
    let number = line.and_then(|line| line.split(' ').next()?.parse().ok());
    number.with_context(|| format!("cannot read pgbench's report: {report}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_read_from_a_report() {
        let report = "number of failed transactions: 0 (0.000%)\ntps = 8712.5 (without initial connection time)\n";
        assert_eq!(rate(report).ok(), Some(8712.5));
        assert!(rate("pgbench: error").is_err());
    }
}
