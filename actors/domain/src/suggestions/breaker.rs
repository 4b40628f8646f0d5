//! A circuit breaker: an endpoint that keeps failing is not called for a while. Then one probe call is made.

use faceofmind_base::{Backoff, Rng, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

/// When the breaker opens, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct BreakerSettings {
    /// The number of consecutive failures that opens it.
    pub failures: u32,
    /// How long it stays open. It grows with each probe that fails.
    pub backoff: Backoff,
}

/// Allows calls or not.
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
    /// No call is allowed before this time. The next one is the probe.
    Open(Timestamp),
    /// The probe is in progress. After this time it counts as lost, and another is allowed.
    HalfOpen(Timestamp),
}

/// Allows one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallPermit {
    Ordinary,
    Probe,
}

/// The state of the circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    Closed,
    /// No call is made.
    Open,
    /// One call is in progress, which decides.
    HalfOpen,
}

/// What the end of a call changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Opened,
    Closed,
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: State::Closed, failures: 0, openings: 0 }
    }

    /// Allows a call, or not.
    pub(super) fn try_acquire(&mut self, now: Timestamp, rng: &Rng) -> Option<CallPermit> {
        match self.state {
            State::Closed => Some(CallPermit::Ordinary),
            State::Open(until) | State::HalfOpen(until) if now >= until => {
                self.state = State::HalfOpen(self.next_try(now, rng));
                Some(CallPermit::Probe)
            }
            State::Open(_) | State::HalfOpen(_) => None,
        }
    }

    /// Records how a call ended. A call from before the breaker opened changes nothing.
    pub(super) fn record(&mut self, permit: CallPermit, succeeded: bool, now: Timestamp, rng: &Rng) -> Option<Change> {
        match (permit, succeeded) {
            (CallPermit::Ordinary, _) if self.state != State::Closed => None,
            (CallPermit::Ordinary, true) => {
                self.failures = 0;
                None
            }
            (CallPermit::Ordinary, false) => {
                self.failures += 1;
                (self.failures >= self.settings.failures).then(|| self.open(now, rng))
            }
            (CallPermit::Probe, true) => {
                *self = Self::new(self.settings);
                Some(Change::Closed)
            }
            (CallPermit::Probe, false) => Some(self.open(now, rng)),
        }
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open(_) => BreakerState::Open,
            State::HalfOpen(_) => BreakerState::HalfOpen,
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

    struct TestBreaker {
        breaker: Breaker,
        now: Timestamp,
        rng: Rng,
    }

    impl TestBreaker {
        fn new() -> Self {
            Self { breaker: Breaker::new(SETTINGS), now: Timestamp::from_micros(0), rng: Rng::seeded(1) }
        }

        fn try_acquire(&mut self, after_seconds: u64) -> Option<CallPermit> {
            self.now = self.now + Duration::from_secs(after_seconds);
            self.breaker.try_acquire(self.now, &self.rng)
        }

        fn record(&mut self, permit: CallPermit, succeeded: bool) -> Option<Change> {
            self.breaker.record(permit, succeeded, self.now, &self.rng)
        }

        fn opened() -> Self {
            let mut test = Self::new();
            test.record(CallPermit::Ordinary, false);
            assert_eq!(test.record(CallPermit::Ordinary, false), Some(Change::Opened));
            test
        }
    }

    #[test]
    fn consecutive_failures_open_it_and_others_do_not() {
        let mut test = TestBreaker::new();
        for succeeded in [false, true, false] {
            assert_eq!(test.record(CallPermit::Ordinary, succeeded), None);
        }
        assert_eq!(test.try_acquire(0), Some(CallPermit::Ordinary));
        assert_eq!(test.record(CallPermit::Ordinary, false), Some(Change::Opened));
        assert_eq!((test.breaker.state(), test.try_acquire(0)), (BreakerState::Open, None));
    }

    #[test]
    fn after_the_backoff_one_probe_is_allowed_and_closes_it() {
        let mut test = TestBreaker::opened();
        assert_eq!(test.try_acquire(4), None);
        assert_eq!(test.try_acquire(6), Some(CallPermit::Probe));
        assert_eq!((test.breaker.state(), test.try_acquire(0)), (BreakerState::HalfOpen, None));
        assert_eq!(test.record(CallPermit::Probe, true), Some(Change::Closed));
        assert_eq!((test.breaker.state(), test.try_acquire(0)), (BreakerState::Closed, Some(CallPermit::Ordinary)));
    }

    #[test]
    fn a_probe_that_fails_opens_it_for_longer() {
        let mut test = TestBreaker::opened();
        assert_eq!(test.try_acquire(10), Some(CallPermit::Probe));
        assert_eq!(test.record(CallPermit::Probe, false), Some(Change::Opened));
        assert_eq!(test.try_acquire(9), None, "20 s at most, 10 s at least");
        assert_eq!(test.try_acquire(11), Some(CallPermit::Probe));
    }

    #[test]
    fn a_lost_probe_is_followed_by_another() {
        let mut test = TestBreaker::opened();
        assert_eq!(test.try_acquire(10), Some(CallPermit::Probe));
        assert_eq!(test.try_acquire(10), Some(CallPermit::Probe));
    }

    #[test]
    fn calls_from_before_it_opened_change_nothing() {
        let mut test = TestBreaker::opened();
        assert_eq!(test.record(CallPermit::Ordinary, true), None);
        assert_eq!(test.record(CallPermit::Ordinary, false), None);
        assert_eq!(test.breaker.state(), BreakerState::Open);
    }
}
