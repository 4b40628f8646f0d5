//! `faceofmind events tail [--subject …] [--since …]`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use faceofmind_actors::publisher::SubjectPattern;
use faceofmind_kit::{Clock, Timestamp};
use jiff::SignedDuration;

use super::Failure;
use crate::{app, settings::Layers};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print events as they are published, one CloudEvents JSON a line, until Ctrl-C
    ///
    /// They come from the JetStream stream where NATS_URL is set, else from the outbox in the database.
    Tail(Tail),
}

#[derive(Args, Debug)]
pub(super) struct Tail {
    /// Only these, as NATS writes it; `faceofmind.v1.` may be left out
    #[arg(long, value_name = "PATTERN", default_value = "faceofmind.v1.>")]
    subject: SubjectPattern,
    /// First those published since: a time such as 2026-11-23T08:00:00Z, or so long ago, such as 90s, 30m or 24h
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Since>,
}

/// Since when.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Since {
    Moment(jiff::Timestamp),
    Ago(SignedDuration),
}

fn since(typed: &str) -> Result<Since, &'static str> {
    let moment = || typed.parse().map(Since::Moment).ok();
    let ago = || typed.parse().ok().filter(SignedDuration::is_positive).map(Since::Ago);
    moment().or_else(ago).ok_or("it is neither a time such as 2026-11-23T08:00:00Z nor a duration such as 90s or 24h")
}

impl Since {
    fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Moment(moment) => moment.into(),
            Self::Ago(ago) => now.to_jiff().checked_sub(ago).unwrap_or(jiff::Timestamp::MIN).into(),
        }
    }
}

impl Command {
    pub(super) fn run(self, layers: &Layers) -> Result<ExitCode, Failure> {
        let Self::Tail(Tail { subject, since }) = self;
        let settings = super::begin(layers)?;
        let since = since.map(|since| since.moment(Clock::system().now()));
        super::block_on(app::tail(&settings, subject, since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_a_while_ago() {
        let now = "2026-11-23T08:00:00Z".parse::<jiff::Timestamp>().expect("a time");
        let moment = |typed| since(typed).map(|since| since.moment(now.into()).to_jiff().to_string());
        for (typed, when) in [
            ("2026-11-22T08:00:00Z", "2026-11-22T08:00:00Z"),
            ("2026-11-22T09:00:00+01:00", "2026-11-22T08:00:00Z"),
            ("90s", "2026-11-23T07:58:30Z"),
            ("30m", "2026-11-23T07:30:00Z"),
            ("24h", "2026-11-22T08:00:00Z"),
            ("1h 30m", "2026-11-23T06:30:00Z"),
        ] {
            assert_eq!(moment(typed), Ok(when.to_owned()), "{typed}");
        }
        for typed in ["", "yesterday", "-1h", "0s", "2026-11-22T08:00:00", "24"] {
            assert!(moment(typed).is_err(), "{typed}");
        }
    }
}
