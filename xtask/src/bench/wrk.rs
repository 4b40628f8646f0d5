//! The load generator wrk: each connection sends the next request when the last one is answered.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

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

const TIMEOUT: Duration = Duration::from_secs(2);
/// For requests that wait long by nature, such as log-ins with an expensive hash.
const LONG_TIMEOUT: Duration = Duration::from_secs(30);
/// Each thread of wrk has a state of its own, which `setup` fills: the threads count in steps of their number.
const NUMBERED: &str = "\
local threads = {}
function setup(thread)
  table.insert(threads, thread)
  for number, other in ipairs(threads) do
    other:set(\"next_number\", number - 1)
    other:set(\"step\", #threads)
  end
end
function request()
  local body = wrk.body:gsub(\"NUMBER\", tostring(next_number))
  next_number = next_number + step
  return wrk.format(nil, nil, nil, body)
end
";

/// Numbers the scripts.
static LOADS: AtomicUsize = AtomicUsize::new(0);

/// A request that wrk sends in a loop.
pub(crate) struct Load {
    url: String,
    connections: usize,
    script: PathBuf,
    /// A request that is not answered within this time is an error. In whole seconds.
    timeout: Duration,
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
        Self::post_as(env, env.account(), path, connections, body)
    }

    /// `POST path` with a JSON body and the token of `account`.
    pub(crate) fn post_as(
        env: &BenchEnv,
        account: &Account,
        path: &str,
        connections: usize,
        body: &str,
    ) -> Result<Self> {
        Self::new(env, account, path, connections, "POST", body)
    }

    fn new(
        env: &BenchEnv,
        account: &Account,
        path: &str,
        connections: usize,
        method: &str,
        body: &str,
    ) -> Result<Self> {
        let number = LOADS.fetch_add(1, Ordering::Relaxed);
        let script = env.dir().join(format!("load-{number}.lua"));
        let text = format!(
            "wrk.method = \"{method}\"\n\
             wrk.headers[\"Content-Type\"] = \"application/json\"\n\
             wrk.headers[\"Authorization\"] = \"Bearer {}\"\n\
             wrk.body = [==[{body}]==]\n",
            account.access_token
        );
        fs::write(&script, text).with_context(|| format!("cannot write {}", script.display()))?;
        Ok(Self { url: format!("http://127.0.0.1:{}{path}", account.port), connections, script, timeout: TIMEOUT })
    }

    /// The requests answered with 2xx in a second. Any other response, or none, is an error.
    pub(crate) fn run(&self, span: Duration) -> Result<f64> {
        let report = self.report(span)?;
        no_refusals(&report).and_then(|()| served(&report)).with_context(|| self.url.clone())
    }

    /// How many requests were answered with 2xx. Any other response, or none, is an error.
    pub(crate) fn count(&self, span: Duration) -> Result<u64> {
        let report = self.report(span)?;
        no_refusals(&report).and_then(|()| requests(&report)).with_context(|| self.url.clone())
    }

    /// The same where the service refuses some. A request that is not answered in time, or whose connection fails, is an error.
    pub(crate) fn run_in_overload(&self, span: Duration) -> Result<f64> {
        let report = self.report(span)?;
        all_answered(&report).and_then(|()| served(&report)).with_context(|| self.url.clone())
    }

    /// The same from this address.
    pub(crate) fn from(self, client_ip: &str) -> Result<Self> {
        self.with_header("X-Forwarded-For", client_ip)
    }

    /// The same, each request over a new connection.
    pub(crate) fn over_new_connections(self) -> Result<Self> {
        self.with_header("Connection", "close")
    }

    /// The same, with a long timeout.
    pub(crate) fn patient(self) -> Self {
        Self { timeout: LONG_TIMEOUT, ..self }
    }

    /// The same, with this content type.
    pub(crate) fn with_type(self, kind: &str) -> Result<Self> {
        self.with_header("Content-Type", kind)
    }

    /// The same, each request with a number of its own in the place of `NUMBER` in the body.
    pub(crate) fn numbered(self) -> Result<Self> {
        self.with_script(NUMBERED)
    }

    fn with_header(self, name: &str, value: &str) -> Result<Self> {
        self.with_script(&format!("wrk.headers[\"{name}\"] = \"{value}\"\n"))
    }

    fn with_script(self, lines: &str) -> Result<Self> {
        let text = fs::read_to_string(&self.script)? + lines;
        let script = self.script.with_file_name(format!("load-{}.lua", LOADS.fetch_add(1, Ordering::Relaxed)));
        fs::write(&script, text)?;
        Ok(Self { script, ..self })
    }

    /// The 99th percentile of the latency in milliseconds, and how many were refused.
    pub(crate) fn p99(&self, span: Duration) -> Result<(f64, u64)> {
        let report = self.report(span)?;
        all_answered(&report).with_context(|| self.url.clone())?;
        let read =
            || Some((milliseconds(after("99%", &report)?)?, after(REFUSED, &report).unwrap_or("0").parse().ok()?));
        read().with_context(|| format!("cannot read wrk's report: {report}"))
    }

    /// The path of the request.
    pub(crate) fn path(&self) -> &str {
        self.url.splitn(4, '/').last().unwrap_or_default()
    }

    /// Sends requests, whatever becomes of them.
    pub(crate) fn flood(&self, span: Duration) -> Result<()> {
        self.report(span).map(drop)
    }

    fn report(&self, span: Duration) -> Result<String> {
        let mut wrk = process::command("wrk", Stop::Int, None);
        wrk.arg(format!("-t{}", cores().min(self.connections))).arg(format!("-c{}", self.connections));
        wrk.arg(format!("-d{}s", span.as_secs())).arg(format!("--timeout={}s", self.timeout.as_secs()));
        wrk.arg("--latency").arg("-s").arg(&self.script).arg(&self.url);
        process::output(&mut wrk)
    }
}

fn after<'a>(label: &str, report: &'a str) -> Option<&'a str> {
    report.lines().find_map(|line| line.trim().strip_prefix(label)).map(str::trim)
}

fn all_answered(report: &str) -> Result<()> {
    let errors = after(ERRORS, report);
    ensure!(errors.is_none(), "{ERRORS} {}", errors.unwrap_or_default());
    Ok(())
}

fn no_refusals(report: &str) -> Result<()> {
    let refused = after(REFUSED, report);
    ensure!(refused.is_none(), "{REFUSED} {}", refused.unwrap_or_default());
    all_answered(report)
}

const ERRORS: &str = "Socket errors:";
const REFUSED: &str = "Non-2xx or 3xx responses:";

fn requests(report: &str) -> Result<u64> {
    let line = report.lines().find_map(|line| line.trim().split_once(" requests in "));
    line.and_then(|(count, _)| count.parse().ok()).with_context(|| format!("cannot read wrk's report: {report}"))
}

/// The requests answered with 2xx in a second.
fn served(report: &str) -> Result<f64> {
    let read = || {
        let rate: f64 = after("Requests/sec:", report)?.parse().ok()?;
        let refused: f64 = after(REFUSED, report).unwrap_or("0").parse().ok()?;
        Some(rate * (1.0 - refused / requests(report).ok()?.max(1) as f64))
    };
    read().with_context(|| format!("cannot read wrk's report: {report}"))
}

/// A time as wrk writes it: `812.00us`, `1.20ms`, `2.01s`.
fn milliseconds(text: &str) -> Option<f64> {
    let units = [("us", 0.001), ("ms", 1.0), ("s", 1000.0), ("m", 60_000.0)];
    units.iter().find_map(|(unit, factor)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_unit() {
        let read = ["500.00us", "1.25ms", "2.00s", "1.00m", "fast"].map(milliseconds);
        assert_eq!(read, [Some(0.5), Some(1.25), Some(2000.0), Some(60_000.0), None]);
    }

    #[test]
    fn the_rate_is_that_of_the_requests_that_were_served() {
        assert_eq!(served("Running 5s test\n  5 requests in 5.00s\nRequests/sec:  21345.67\n").ok(), Some(21_345.67));
        let overloaded = "  200 requests in 5.00s\n  Non-2xx or 3xx responses: 50\nRequests/sec:  40.00\n";
        assert_eq!(served(overloaded).ok(), Some(30.0));
    }

    #[test]
    fn rejected_requests_are_an_error_unless_they_are_expected_and_lost_ones_always() {
        let report = "  Non-2xx or 3xx responses: 12\nRequests/sec:  21345.67\n";
        assert_eq!(no_refusals(report).expect_err("some were rejected").to_string(), "Non-2xx or 3xx responses: 12");
        all_answered(report).expect("all were answered");
        let late = "  Socket errors: connect 0, read 0, write 0, timeout 3\n";
        all_answered(late).expect_err("three were late");
    }
}
