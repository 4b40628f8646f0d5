//! Chance: the operating system's generator, or for a test a sequence that repeats.

use std::time::Duration;

use aws_lc_rs::rand;
use uuid::Uuid;

use crate::Timestamp;

#[cfg(any(test, feature = "test-hooks"))]
mod seeded;

/// A source of random bytes that is fit for keys and codes. Clones draw from the same source.
#[derive(Clone, Debug)]
pub struct Rng(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    #[cfg(any(test, feature = "test-hooks"))]
    Seeded(seeded::Sequence),
}

impl Rng {
    /// The cryptographic generator of aws-lc, seeded by the operating system.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// The same bytes again for the same seed. For tests only: whoever knows the seed knows the rest.
    #[cfg(any(test, feature = "test-hooks"))]
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(seeded::Sequence::new(seed)))
    }

    /// `N` random bytes.
    ///
    /// # Panics
    /// When the operating system has no randomness to give; nothing safe can be done without.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.0 {
            Source::System => rand::fill(&mut bytes).expect("the operating system gives random bytes"),
            #[cfg(any(test, feature = "test-hooks"))]
            Source::Seeded(sequence) => sequence.fill(&mut bytes),
        }
        bytes
    }

    /// A number from 0 to `bound` - 1, each equally likely (numbers that would favour the low ones are drawn again).
    pub fn below(&self, bound: u32) -> u32 {
        let fair = u32::MAX - u32::MAX % bound;
        loop {
            let drawn = u32::from_be_bytes(self.bytes());
            if drawn < fair {
                return drawn % bound;
            }
        }
    }

    /// A UUID version 7 (RFC 9562 §5.7): sorts by `now`, its rest is random.
    pub fn uuid_v7(&self, now: Timestamp) -> Uuid {
        let millis = u64::try_from(now.micros() / 1000).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }

    /// Somewhere between half of `span` and the whole of it, so that many who wait do not wake together.
    pub fn jitter(&self, span: Duration) -> Duration {
        span / 2 + span.mul_f64(f64::from(self.below(1 << 16)) / f64::from(1 << 17))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_another_does_not() {
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
            seen[rng.below(10) as usize] += 1;
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
