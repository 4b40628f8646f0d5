//! `faceofmind events tail [--subject …] [--since …]` and `faceofmind events accept-gaps`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use faceofmind_base::{Clock, Timestamp};
use faceofmind_platform::outbox::SubjectPattern;
use jiff::SignedDuration;

use super::Failure;
use crate::{app, settings::ConfigSources};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print events as they are published, one CloudEvents JSON object in a line, until Ctrl-C
    ///
    /// If NATS_URL is set they come from the JetStream stream, else from the outbox in the database.
    Tail(TailArgs),
    /// Accept that the stream has lost events that the outbox no longer holds, so that `/ready` reports them no longer
    AcceptGaps,
}

#[derive(Args, Debug)]
pub(super) struct TailArgs {
    /// Only events with this NATS subject pattern; `faceofmind.v1.` may be omitted
    #[arg(long, value_name = "PATTERN", default_value = "faceofmind.v1.>")]
    subject: SubjectPattern,
    /// Begin with events published since then: a time such as 2026-11-23T08:00:00Z, or a duration before now such as 90s, 30m or 24h
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Since>,
}

/// The beginning of the printed events.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Since {
    Time(jiff::Timestamp),
    Ago(SignedDuration),
}

fn since(typed: &str) -> Result<Since, &'static str> {
    let time = || typed.parse().map(Since::Time).ok();
    let ago = || typed.parse().ok().filter(SignedDuration::is_positive).map(Since::Ago);
    time().or_else(ago).ok_or("it is neither a time such as 2026-11-23T08:00:00Z nor a duration such as 90s or 24h")
}

impl Since {
    fn timestamp(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Time(time) => time.into(),
            Self::Ago(ago) => now.to_jiff().checked_sub(ago).unwrap_or(jiff::Timestamp::MIN).into(),
        }
    }
}

impl Command {
    pub(super) fn run(self, sources: &ConfigSources) -> Result<ExitCode, Failure> {
        let settings = super::init(sources)?;
        match self {
            Self::Tail(TailArgs { subject, since }) => {
                let since = since.map(|since| since.timestamp(Clock::system().now()));
                super::block_on(app::tail(&settings, subject, since))
            }
            Self::AcceptGaps => super::block_on(app::accept_event_gaps(&settings)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_a_duration() {
        let now = "2026-11-23T08:00:00Z".parse::<jiff::Timestamp>().expect("a time");
        let time = |typed| since(typed).map(|since| since.timestamp(now.into()).to_jiff().to_string());
        for (typed, when) in [
            ("2026-11-22T08:00:00Z", "2026-11-22T08:00:00Z"),
            ("2026-11-22T09:00:00+01:00", "2026-11-22T08:00:00Z"),
            ("90s", "2026-11-23T07:58:30Z"),
            ("30m", "2026-11-23T07:30:00Z"),
            ("24h", "2026-11-22T08:00:00Z"),
            ("1h 30m", "2026-11-23T06:30:00Z"),
        ] {
            assert_eq!(time(typed), Ok(when.to_owned()), "{typed}");
        }
        for typed in ["", "yesterday", "-1h", "0s", "2026-11-22T08:00:00", "24"] {
            assert!(time(typed).is_err(), "{typed}");
        }
    }
}
