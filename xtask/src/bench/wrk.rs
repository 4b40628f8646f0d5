//! The load generator wrk: each connection sends the next request when the last one is answered.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};

use super::{
    account::Account,
    env::{BenchEnv, cores},
};
use crate::{
    packages::Package,
    process::{self, Stop},
};

pub(crate) const PACKAGE: Package =
    Package { name: "wrk", is_present: || process::find("wrk").is_some(), daemon: None };

/// A request that wrk sends in a loop.
pub(crate) struct Load {
    url: String,
    connections: usize,
    script: PathBuf,
}

impl Load {
    /// `GET path` with the token of the shared account.
    pub(crate) fn get(env: &BenchEnv, path: &str, connections: usize) -> Result<Self> {
        Self::get_as(env, env.account(), path, connections)
    }

    /// `GET path` with the token of `account`.
    pub(crate) fn get_as(env: &BenchEnv, account: &Account, path: &str, connections: usize) -> Result<Self> {
        Self::new(env, account, path, connections, "GET", "")
    }

    /// `POST path` with a JSON body and the token of the shared account.
    pub(crate) fn post(env: &BenchEnv, path: &str, connections: usize, body: &str) -> Result<Self> {
        Self::new(env, env.account(), path, connections, "POST", body)
    }

    fn new(
        env: &BenchEnv,
        account: &Account,
        path: &str,
        connections: usize,
        method: &str,
        body: &str,
    ) -> Result<Self> {
        let name = format!("{method}{}-{}", path.replace(['/', '?', '='], "-"), account.email);
        let script = env.dir().join(format!("{name}.lua"));
        let text = format!(
            "wrk.method = \"{method}\"\n\
             wrk.headers[\"Content-Type\"] = \"application/json\"\n\
             wrk.headers[\"Authorization\"] = \"Bearer {}\"\n\
             wrk.body = [==[{body}]==]\n",
            account.access_token
        );
        fs::write(&script, text).with_context(|| format!("cannot write {}", script.display()))?;
        Ok(Self { url: format!("{}{path}", env.url()), connections, script })
    }

    /// The requests answered with 2xx in a second. Any other response, or none, is an error.
    pub(crate) fn run(&self, span: Duration) -> Result<f64> {
        let mut wrk = process::command("wrk", Stop::Int, None);
        wrk.arg(format!("-t{}", cores().min(self.connections))).arg(format!("-c{}", self.connections));
        wrk.arg(format!("-d{}s", span.as_secs())).arg("-s").arg(&self.script).arg(&self.url);
        rate(&process::output(&mut wrk)?).with_context(|| self.url.clone())
    }
}

fn rate(report: &str) -> Result<f64> {
    let after = |label| report.lines().find_map(|line: &str| line.trim().strip_prefix(label)).map(str::trim);
    for problem in ["Non-2xx or 3xx responses:", "Socket errors:"] {
        ensure!(after(problem).is_none(), "{problem} {}", after(problem).unwrap_or_default());
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
    fn rejected_requests_are_an_error() {
        let report = "  Non-2xx or 3xx responses: 12\nRequests/sec:  21345.67\n";
        assert_eq!(rate(report).expect_err("some were rejected").to_string(), "Non-2xx or 3xx responses: 12");
    }
}
