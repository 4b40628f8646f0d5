//! The latency of an event from the change to a subscriber: from its `time`, which the service takes before the transaction commits, to its
//! receipt by a push consumer, on one clock. It includes commit, publisher and JetStream. The reference is a message with its time of sending,
//! through a stream of the same server at the same rate.

use std::{
    fmt, thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{env::BenchEnv, http, nats::Client, report::Section};
use crate::wait::Stopwatch;

pub(crate) const TITLE: &str = "from a change to a subscriber";
const PER_SECOND: u32 = 500;
/// Each sends its share, one request at a time. Together they keep the pace while a response takes less than 64 ms.
const SENDERS: u32 = 32;
const STREAM: &str = "BENCH";
const SUBJECT: &str = "bench-reference";

/// A measurement below this part of the pace did not keep it. The wait for the last responses takes less.
const MIN_PACE: f64 = 0.99;

/// Latencies in milliseconds, sorted.
pub(crate) struct Latencies {
    what: &'static str,
    pace: f64,
    took: Vec<f64>,
}

/// Measures the reference and the service in turn.
pub(crate) fn measure(env: &BenchEnv, rounds: u32, span: Duration) -> Result<[Latencies; 2]> {
    let url = env.services().nats.url(0);
    let stream = json!({ "name": STREAM, "subjects": [SUBJECT], "storage": "file", "retention": "limits" });
    Client::connect(&url)?.request(&format!("$JS.API.STREAM.CREATE.{STREAM}"), &stream)?;
    let mut reference = Latencies::new("a message through JetStream alone");
    let mut ours = Latencies::new("POST /sessions/ to its `session.started`");
    for round in 1..=rounds {
        env.wait_until_idle()?;
        reference.add(through_nats(&url, span)?);
        ours.add(through_the_service(env, &url, span)?);
        eprintln!("{TITLE} {round}/{rounds}: p99 {:.1} ms / {:.1} ms", ours.percentile(99), reference.percentile(99));
    }
    Ok([ours, reference])
}

/// The latencies, and the number of messages sent in a second.
type RoundResult = (Vec<f64>, f64);

fn through_the_service(env: &BenchEnv, url: &str, span: Duration) -> Result<RoundResult> {
    let mut subscriber = Client::connect(url)?;
    subscriber.consume("FACEOFMIND", "faceofmind.v1.session.started.*")?;
    let (port, token) = (env.port(), env.access_token());
    round(subscriber, span, |_| Ok(move || http::post(port, "/api/v1/sessions/", token, &json!({})).map(drop)))
}

fn through_nats(url: &str, span: Duration) -> Result<RoundResult> {
    let mut subscriber = Client::connect(url)?;
    subscriber.consume(STREAM, SUBJECT)?;
    round(subscriber, span, |_| {
        let mut client = Client::connect(url)?;
        Ok(move || client.publish(SUBJECT, &json!({ "time": now().to_string() }).to_string()))
    })
}

/// Sends at the pace from all senders, and receives as many messages.
fn round<F: FnMut() -> Result<()> + Send>(
    subscriber: Client,
    span: Duration,
    sender: impl Fn(u32) -> Result<F>,
) -> Result<RoundResult> {
    let each = PER_SECOND * u32::try_from(span.as_secs())? / SENDERS;
    let senders = (0..SENDERS).map(sender).collect::<Result<Vec<_>>>()?;
    let began = Stopwatch::start();
    thread::scope(|scope| {
        let receiving = scope.spawn(move || receive(subscriber, each * SENDERS));
        let sending: Vec<_> = (0..SENDERS)
            .zip(senders)
            .map(|(number, send)| {
                let began = &began;
                scope.spawn(move || keep_pace(began, number, each, send))
            })
            .collect();
        for sender in sending {
            sender.join().expect("a sender does not panic")?;
        }
        let pace = f64::from(each * SENDERS) / began.elapsed().as_secs_f64();
        Ok((receiving.join().expect("a subscriber does not panic")?, pace))
    })
}

fn keep_pace(began: &Stopwatch, number: u32, each: u32, mut send: impl FnMut() -> Result<()>) -> Result<()> {
    for turn in 0..each {
        let due = Duration::from_secs(1) * (turn * SENDERS + number) / PER_SECOND;
        thread::sleep(due.saturating_sub(began.elapsed()));
        send()?;
    }
    Ok(())
}

fn receive(mut subscriber: Client, count: u32) -> Result<Vec<f64>> {
    let one = |received| {
        let next = subscriber.next().with_context(|| format!("{received} of {count} messages arrived in time"));
        let event: Value = serde_json::from_slice(&next?)?;
        let arrived = now();
        let sent: Timestamp = event["time"].as_str().with_context(|| format!("no time in {event}"))?.parse()?;
        Ok(arrived.duration_since(sent).as_secs_f64() * 1000.0)
    };
    (0..count).map(one).collect()
}

#[expect(clippy::disallowed_methods, reason = "measured against times that the service took from the same clock")]
fn now() -> Timestamp {
    Timestamp::try_from(SystemTime::now()).expect("the present is a time")
}

impl Latencies {
    fn new(what: &'static str) -> Self {
        Self { what, pace: f64::INFINITY, took: Vec::new() }
    }

    fn add(&mut self, (took, pace): RoundResult) {
        self.pace = self.pace.min(pace);
        self.took.extend(took);
        self.took.sort_by(f64::total_cmp);
    }

    /// Whether every round kept the pace.
    fn kept_pace(&self) -> bool {
        self.pace >= f64::from(PER_SECOND) * MIN_PACE
    }

    /// The value that `percent` of 100 latencies do not exceed.
    fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.took.len() * percent).div_ceil(100);
        self.took.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99] = [50, 99].map(|percent| self.percentile(percent));
        let slowest = self.took.last().unwrap_or(&f64::NAN);
        let short = if self.kept_pace() { String::new() } else { format!(": **short of the {PER_SECOND}**") };
        write!(f, "| {} | {:.0}{short} | {p50:.2} | {p99:.2} | {slowest:.2} |", self.what, self.pace)
    }
}

/// The table with its explanation.
pub(crate) fn section(table: &[Latencies]) -> Result<Section> {
    ensure!(table.iter().all(|side| !side.took.is_empty()), "nothing was measured");
    let mut text = format!(
        "From an event's `time`, taken before the commit, to its receipt by a push consumer on this machine, in ms.\n\n\
         | {TITLE} | sent a second | p50 | p99 | slowest |\n|---|--:|--:|--:|--:|\n"
    );
    for side in table {
        text.push_str(&format!("{side}\n"));
    }
    Ok(Section { title: "Latency of events", text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_value_that_this_share_does_not_exceed() {
        let mut latencies = Latencies::new("a");
        latencies.add(((1..=100).rev().map(f64::from).collect(), 499.6));
        latencies.add((vec![1000.0], 501.0));
        assert_eq!((latencies.percentile(50), latencies.percentile(99)), (51.0, 100.0));
        assert_eq!(latencies.to_string(), "| a | 500 | 51.00 | 100.00 | 1000.00 |");
    }

    #[test]
    fn a_pace_that_was_not_kept_is_reported() {
        let mut latencies = Latencies::new("a");
        latencies.add((vec![1.0], 500.0));
        latencies.add((vec![1.0], 312.4));
        assert_eq!(latencies.to_string(), "| a | 312: **short of the 500** | 1.00 | 1.00 | 1.00 |");
    }
}
