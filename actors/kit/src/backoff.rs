//! How long to wait before trying again.

use std::time::Duration;

use crate::Rng;

/// Exponential backoff with jitter: doubles from `first` to `longest`.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The wait before the second try.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
}

impl Backoff {
    /// The wait after so many failures in a row (from 1), shortened at random by up to a half.
    pub fn after(&self, failures: u32, rng: &Rng) -> Duration {
        let doubled = self.first.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        rng.jitter(doubled.min(self.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest() {
        let backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(5) };
        let rng = Rng::seeded(1);
        let within = |failures, most| {
            let wait = backoff.after(failures, &rng);
            assert!(wait >= most / 2 && wait <= most, "{failures}: {wait:?}");
        };
        within(1, Duration::from_millis(100));
        within(3, Duration::from_millis(400));
        within(40, Duration::from_secs(5));
    }
}
