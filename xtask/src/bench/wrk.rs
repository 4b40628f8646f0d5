//! wrk, the load generator: a closed loop of connections that each send the next request when the last is answered.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};

use super::{
    account::Account,
    stage::{Stage, cores},
};
use crate::{
    packages::{self, Package},
    process::{self, Stop},
};

pub(crate) const PACKAGE: Package =
    Package { name: "wrk", is_present: || packages::find("wrk").is_some(), daemon: None };

/// One request, to be sent over and over.
pub(crate) struct Load {
    url: String,
    connections: usize,
    script: PathBuf,
}

impl Load {
    /// `GET path`, with the token of the account that all share.
    pub(crate) fn get(stage: &Stage, path: &str, connections: usize) -> Result<Self> {
        Self::get_as(stage, stage.account(), path, connections)
    }

    /// `GET path`, with the token of this account.
    pub(crate) fn get_as(stage: &Stage, account: &Account, path: &str, connections: usize) -> Result<Self> {
        Self::new(stage, account, path, connections, "GET", "")
    }

    /// `POST path` with a JSON body, with the token of the account that all share.
    pub(crate) fn post(stage: &Stage, path: &str, connections: usize, body: &str) -> Result<Self> {
        Self::new(stage, stage.account(), path, connections, "POST", body)
    }

    fn new(stage: &Stage, account: &Account, path: &str, connections: usize, method: &str, body: &str) -> Result<Self> {
        let name = format!("{method}{}-{}", path.replace(['/', '?', '='], "-"), account.email);
        let script = stage.dir().join(format!("{name}.lua"));
        let text = format!(
            "wrk.method = \"{method}\"\n\
             wrk.headers[\"Content-Type\"] = \"application/json\"\n\
             wrk.headers[\"Authorization\"] = \"Bearer {}\"\n\
             wrk.body = [==[{body}]==]\n",
            account.access_token
        );
        fs::write(&script, text).with_context(|| format!("cannot write {}", script.display()))?;
        Ok(Self { url: format!("{}{path}", stage.url()), connections, script })
    }

    /// How many requests a second were answered with 2xx; any other answer, or none, is a failure.
    pub(crate) fn run(&self, span: Duration) -> Result<f64> {
        let mut wrk = process::command("wrk", Stop::Int, None);
        wrk.arg(format!("-t{}", cores().min(self.connections))).arg(format!("-c{}", self.connections));
        wrk.arg(format!("-d{}s", span.as_secs())).arg("-s").arg(&self.script).arg(&self.url);
        rate(&process::output(&mut wrk)?).with_context(|| self.url.clone())
    }
}

fn rate(report: &str) -> Result<f64> {
    let after = |label| report.lines().find_map(|line: &str| line.trim().strip_prefix(label)).map(str::trim);
    for trouble in ["Non-2xx or 3xx responses:", "Socket errors:"] {
        ensure!(after(trouble).is_none(), "{trouble} {}", after(trouble).unwrap_or_default());
    }
    after("Requests/sec:")
        .and_then(|rate| rate.parse().ok())
        .with_context(|| format!("cannot read wrk's report: {report}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_read_from_a_report_without_failures() {
        assert_eq!(rate("Running 5s test\n  5 requests in 5.00s\nRequests/sec:  21345.67\n").ok(), Some(21_345.67));
    }

    #[test]
    fn refused_requests_are_no_rate() {
        let report = "  Non-2xx or 3xx responses: 12\nRequests/sec:  21345.67\n";
        assert_eq!(rate(report).expect_err("some were refused").to_string(), "Non-2xx or 3xx responses: 12");
    }
}
