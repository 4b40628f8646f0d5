//! Randomness: the operating system's generator, or a repeatable sequence for tests.

use std::time::Duration;

use aws_lc_rs::rand;
use uuid::Uuid;

use crate::Timestamp;

#[cfg(any(test, feature = "test-hooks"))]
mod seeded;

/// A source of random bytes, fit for keys and one-time codes. Clones draw from the same source.
#[derive(Clone, Debug)]
pub struct Rng(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    #[cfg(any(test, feature = "test-hooks"))]
    Seeded(seeded::Sequence),
}

impl Rng {
    /// Returns the cryptographic generator of aws-lc, seeded by the operating system.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// Returns a generator that repeats its bytes for the same seed. For tests only: the seed predicts every byte.
    #[cfg(any(test, feature = "test-hooks"))]
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(seeded::Sequence::new(seed)))
    }

    /// Draws `N` random bytes.
    ///
    /// # Panics
    /// Panics when the operating system has no randomness to give. Continuing without it would be unsafe.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.0 {
            Source::System => rand::fill(&mut bytes).expect("the operating system gives random bytes"),
            #[cfg(any(test, feature = "test-hooks"))]
            Source::Seeded(sequence) => sequence.fill(&mut bytes),
        }
        bytes
    }

    /// Draws a number from 0 to `bound` - 1, each equally likely. Numbers that would favour the low ones are drawn again.
    pub fn random_below(&self, bound: u32) -> u32 {
        let fair = u32::MAX - u32::MAX % bound;
        loop {
            let drawn = u32::from_be_bytes(self.bytes());
            if drawn < fair {
                return drawn % bound;
            }
        }
    }

    /// Makes a UUID version 7 (RFC 9562 §5.7): it sorts by `now`, and the rest is random.
    pub fn uuid_v7(&self, now: Timestamp) -> Uuid {
        let millis = u64::try_from(now.micros() / 1000).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }

    /// Draws a duration between half of `span` and all of it, so that many timers do not fire together.
    pub fn jitter(&self, span: Duration) -> Duration {
        span / 2 + span.mul_f64(f64::from(self.random_below(1 << 16)) / f64::from(1 << 17))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_bytes_and_another_seed_does_not() {
        let drawn = |seed| Rng::seeded(seed).bytes::<40>();
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
        assert_ne!(Rng::system().bytes::<16>(), Rng::system().bytes::<16>());
    }

    #[test]
    fn every_number_below_the_bound_comes_up() {
        let rng = Rng::seeded(7);
        let mut seen = [0_u32; 10];
        for _ in 0..10_000 {
            seen[rng.random_below(10) as usize] += 1;
        }
        assert!(seen.iter().all(|&times| (850..1150).contains(&times)), "{seen:?}");
    }

    #[test]
    fn jitter_stays_between_half_and_whole() {
        let rng = Rng::seeded(3);
        for _ in 0..1000 {
            let waited = rng.jitter(Duration::from_secs(2));
            assert!((1.0..=2.0).contains(&waited.as_secs_f64()));
        }
    }
}
