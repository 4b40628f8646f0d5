//! Log lines that overload would multiply: one a second of each kind is written, with the number of those that were not.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

const INTERVAL: Duration = Duration::from_secs(1);

static SAMPLER: LazyLock<Sampler> = LazyLock::new(Sampler::default);

/// Whether a line of this kind is to be written now: the number of those left out since the last one that was. Kinds are few, whatever clients
/// send.
pub(super) fn sample(kind: &str) -> Option<u64> {
    SAMPLER.sample(kind)
}

/// When each kind was last written, and how often not since.
#[derive(Default)]
struct Sampler(Mutex<HashMap<String, (Instant, u64)>>);

impl Sampler {
    fn sample(&self, kind: &str) -> Option<u64> {
        let (mut kinds, now) = (self.0.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        let Some((written, left_out)) = kinds.get_mut(kind) else {
            kinds.insert(kind.to_owned(), (now, 0));
            return Some(0);
        };
        if now.duration_since(*written) < INTERVAL {
            *left_out += 1;
            return None;
        }
        *written = now;
        Some(std::mem::take(left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_a_second_of_each_kind_counts_those_that_were_left_out() {
        let sampler = Sampler::default();
        let burst: Vec<_> = (0..1000).map(|_| sampler.sample("busy")).collect();
        assert_eq!((burst[0], burst.iter().flatten().count()), (Some(0), 1));
        assert_eq!(sampler.sample("down"), Some(0), "another kind");
        tokio::time::advance(INTERVAL).await;
        assert_eq!(
            [sampler.sample("busy"), sampler.sample("busy"), sampler.sample("down")],
            [Some(999), None, Some(0)]
        );
        tokio::time::advance(INTERVAL).await;
        assert_eq!(sampler.sample("busy"), Some(1));
    }
}
