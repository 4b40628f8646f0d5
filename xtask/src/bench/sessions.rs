//! What group commit gains: a session and its event, against the same two rows in a transaction each.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result};
use serde_json::json;

use super::{
    http,
    row::Row,
    stage::{REFERENCE_DATABASE, Stage, cores},
    wrk::Load,
};
use crate::{
    process,
    services::{Postgres, postgres_program},
};

const CALLERS: usize = 64;
const PATH: &str = "/api/v1/sessions/";

/// Ids that grow with time and have the length of a UUID, as the service's do.
const TRANSACTION: &str = r"\set r random(100000000000000, 999999999999999)
begin;
insert into sessions (user_id, start_time) values (:user_id, now()) returning id;
insert into events (id, aggregate, user_id, envelope, recorded_at)
values (to_char(clock_timestamp(), 'YYYYMMDDHH24MISSUS') || '-' || :r, :aggregate, :user_id, :envelope, now());
commit;
";

pub(crate) fn row(stage: &Stage) -> Result<Row<'_>> {
    let create = Load::post(stage, PATH, CALLERS, "{}")?;
    let transactions = Transactions::like_the_services(stage)?;
    Ok(Row {
        title: "POST /sessions/, 64 callers",
        ours: Box::new(move |span| create.run(span)),
        reference_title: "pgbench, 64 clients, the same two inserts",
        reference: Box::new(move |span| transactions.run(span)),
    })
}

/// pgbench on a database with the service's schema, where no publisher interferes with what it writes.
struct Transactions<'a> {
    postgres: &'a Postgres,
    script: PathBuf,
    variables: [String; 3],
}

impl<'a> Transactions<'a> {
    /// Takes the event's row from one that the service wrote, so that both write as much.
    fn like_the_services(stage: &'a Stage) -> Result<Self> {
        let session = http::post(stage.port(), PATH, stage.access_token(), &json!({}))?;
        let aggregate = format!("session/{}", session["id"]);
        let postgres = &stage.services().postgres;
        let envelope = stage.query(&format!("select envelope from events where aggregate = '{aggregate}'"))?;
        let user_id = postgres.query(
            REFERENCE_DATABASE,
            "insert into users (email, first_name, last_name, created_at) values ('bench@example.com', '', '', now()) returning id",
        )?;
        let script = stage.dir().join("sessions.sql");
        fs::write(&script, TRANSACTION).context("cannot write pgbench's script")?;
        let variables =
            [format!("user_id={user_id}"), format!("aggregate={aggregate}"), format!("envelope={envelope}")];
        Ok(Self { postgres, script, variables })
    }

    /// Transactions a second.
    fn run(&self, span: Duration) -> Result<f64> {
        let mut pgbench = Command::new(postgres_program("pgbench").context("pgbench is missing")?);
        pgbench.args(["--no-vacuum", "--protocol=prepared", "--host=127.0.0.1", "--username=postgres"]);
        pgbench.arg(format!("--port={}", self.postgres.port())).arg(format!("--client={CALLERS}"));
        pgbench.arg(format!("--jobs={}", cores())).arg(format!("--time={}", span.as_secs()));
        pgbench.args(self.variables.iter().flat_map(|variable| ["--define", variable]));
        pgbench.arg("--file").arg(&self.script).arg(REFERENCE_DATABASE);
        rate(&process::output(&mut pgbench)?)
    }
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
