//! Delays between retries: exponential, bounded and jittered.

use std::time::Duration;

use crate::Rng;

/// A delay that doubles with every consecutive failure.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The delay after the first failure.
    pub initial: Duration,
    /// The longest delay.
    pub max: Duration,
}

impl Backoff {
    /// Returns the delay after that many consecutive failures, counted from 1. Jitter takes off up to half of it.
    pub fn delay(&self, failures: u32, rng: &Rng) -> Duration {
        let doubled = self.initial.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        rng.jitter(doubled.min(self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_its_maximum() {
        let backoff = Backoff { initial: Duration::from_millis(100), max: Duration::from_secs(5) };
        let rng = Rng::seeded(1);
        let within = |failures, max| {
            let delay = backoff.delay(failures, &rng);
            assert!(delay >= max / 2 && delay <= max, "{failures}: {delay:?}");
        };
        within(1, Duration::from_millis(100));
        within(3, Duration::from_millis(400));
        within(40, Duration::from_secs(5));
    }
}
