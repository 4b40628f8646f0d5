//! A circuit breaker: an endpoint that keeps failing is left alone for a while, then tried once.

use faceofmind_base::{Backoff, Rng, Timestamp};
use serde::Serialize;

/// When it opens, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct BreakerSettings {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open: longer each time that the probe fails.
    pub backoff: Backoff,
}

/// What lets calls through, or does not.
#[derive(Debug)]
pub(super) struct Breaker {
    settings: BreakerSettings,
    state: State,
    failures: u32,
    openings: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    /// Nothing passes until then; what passes then is the probe.
    Open(Timestamp),
    /// The probe is out. One that is lost does not count as out after this time.
    HalfOpen(Timestamp),
}

/// The right to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    Ordinary,
    Probe,
}

/// What it does now, for those who watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Position {
    Closed,
    Open,
    HalfOpen,
}

/// What a call's end changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Opened,
    Closed,
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: State::Closed, failures: 0, openings: 0 }
    }

    /// Whether a call may be made.
    pub(super) fn admit(&mut self, now: Timestamp, rng: &Rng) -> Option<Pass> {
        match self.state {
            State::Closed => Some(Pass::Ordinary),
            State::Open(until) | State::HalfOpen(until) if now >= until => {
                self.state = State::HalfOpen(self.next_try(now, rng));
                Some(Pass::Probe)
            }
            State::Open(_) | State::HalfOpen(_) => None,
        }
    }

    /// How a call ended. Calls from before it opened say nothing any more.
    pub(super) fn heard(&mut self, pass: Pass, succeeded: bool, now: Timestamp, rng: &Rng) -> Option<Change> {
        match (pass, succeeded) {
            (Pass::Ordinary, _) if self.state != State::Closed => None,
            (Pass::Ordinary, true) => {
                self.failures = 0;
                None
            }
            (Pass::Ordinary, false) => {
                self.failures += 1;
                (self.failures >= self.settings.failures).then(|| self.open(now, rng))
            }
            (Pass::Probe, true) => {
                *self = Self::new(self.settings);
                Some(Change::Closed)
            }
            (Pass::Probe, false) => Some(self.open(now, rng)),
        }
    }

    pub(super) fn position(&self) -> Position {
        match self.state {
            State::Closed => Position::Closed,
            State::Open(_) => Position::Open,
            State::HalfOpen(_) => Position::HalfOpen,
        }
    }

    fn open(&mut self, now: Timestamp, rng: &Rng) -> Change {
        self.openings = self.openings.saturating_add(1);
        self.state = State::Open(self.next_try(now, rng));
        Change::Opened
    }

    fn next_try(&self, now: Timestamp, rng: &Rng) -> Timestamp {
        now + self.settings.backoff.delay(self.openings.max(1), rng)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SETTINGS: BreakerSettings = BreakerSettings {
        failures: 2,
        backoff: Backoff { initial: Duration::from_secs(10), max: Duration::from_secs(60) },
    };

    struct Bench {
        breaker: Breaker,
        now: Timestamp,
        rng: Rng,
    }

    impl Bench {
        fn new() -> Self {
            Self { breaker: Breaker::new(SETTINGS), now: Timestamp::from_micros(0), rng: Rng::seeded(1) }
        }

        fn admit(&mut self, after_seconds: u64) -> Option<Pass> {
            self.now = self.now + Duration::from_secs(after_seconds);
            self.breaker.admit(self.now, &self.rng)
        }

        fn heard(&mut self, pass: Pass, succeeded: bool) -> Option<Change> {
            self.breaker.heard(pass, succeeded, self.now, &self.rng)
        }

        fn opened() -> Self {
            let mut bench = Self::new();
            bench.heard(Pass::Ordinary, false);
            assert_eq!(bench.heard(Pass::Ordinary, false), Some(Change::Opened));
            bench
        }
    }

    #[test]
    fn failures_in_a_row_open_it_and_others_do_not() {
        let mut bench = Bench::new();
        for succeeded in [false, true, false] {
            assert_eq!(bench.heard(Pass::Ordinary, succeeded), None);
        }
        assert_eq!(bench.admit(0), Some(Pass::Ordinary));
        assert_eq!(bench.heard(Pass::Ordinary, false), Some(Change::Opened));
        assert_eq!((bench.breaker.position(), bench.admit(0)), (Position::Open, None));
    }

    #[test]
    fn after_the_backoff_one_probe_passes_and_closes_it() {
        let mut bench = Bench::opened();
        assert_eq!(bench.admit(4), None);
        assert_eq!(bench.admit(6), Some(Pass::Probe));
        assert_eq!((bench.breaker.position(), bench.admit(0)), (Position::HalfOpen, None));
        assert_eq!(bench.heard(Pass::Probe, true), Some(Change::Closed));
        assert_eq!((bench.breaker.position(), bench.admit(0)), (Position::Closed, Some(Pass::Ordinary)));
    }

    #[test]
    fn a_probe_that_fails_opens_it_for_longer() {
        let mut bench = Bench::opened();
        assert_eq!(bench.admit(10), Some(Pass::Probe));
        assert_eq!(bench.heard(Pass::Probe, false), Some(Change::Opened));
        assert_eq!(bench.admit(9), None, "20 s at most, 10 s at least");
        assert_eq!(bench.admit(11), Some(Pass::Probe));
    }

    #[test]
    fn a_probe_that_is_lost_is_followed_by_another() {
        let mut bench = Bench::opened();
        assert_eq!(bench.admit(10), Some(Pass::Probe));
        assert_eq!(bench.admit(10), Some(Pass::Probe));
    }

    #[test]
    fn calls_from_before_it_opened_change_nothing() {
        let mut bench = Bench::opened();
        assert_eq!(bench.heard(Pass::Ordinary, true), None);
        assert_eq!(bench.heard(Pass::Ordinary, false), None);
        assert_eq!(bench.breaker.position(), Position::Open);
    }
}
