//! Limits, and when one is reached. No I/O.
//!
//! Windows are fixed: a window starts with its first use, and the first use after its end starts the next. So at worst, around the end of a
//! window, twice `max` uses pass within the length of one window.

use std::{collections::BTreeMap, time::Duration};

use faceofmind_base::Timestamp;

/// The most uses of something within a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is counted. Each name has counters of its own.
    pub name: &'static str,
    /// [`Limit::UNLIMITED`] switches the limit off.
    pub max: u32,
    pub window: Duration,
}

impl Limit {
    /// The maximum of a limit whose uses are not counted.
    pub const UNLIMITED: u32 = u32::MAX;

    pub(super) fn is_unlimited(&self) -> bool {
        self.max == Self::UNLIMITED
    }
}

/// One use, as the stores see it. The uses of one caller are all counted, or none of them.
#[derive(Clone, Debug)]
pub(super) struct CounterRequest {
    /// The counter: a keyed hash.
    pub(super) name: String,
    /// The name of the limit.
    pub(super) limit: &'static str,
    pub(super) max: u32,
    pub(super) window: Duration,
}

/// A counted use, in the window that ends at `expires_at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) name: String,
    pub(super) expires_at: Timestamp,
}

/// The decision on the uses of one caller.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Counted(Vec<Counted>),
    /// `limit` is the name of the full limit whose window ends last, after `retry_after`.
    Refused {
        limit: &'static str,
        retry_after: Duration,
    },
}

/// The state of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) count: i64,
    pub(super) expires_at: Timestamp,
}

/// Counters by name, which is the order in which every node locks them.
pub(super) type Windows = BTreeMap<String, Window>;

/// Counts the uses of one caller in `windows`, which hold all their counters.
pub(super) fn count(requests: &[CounterRequest], windows: &mut Windows, now: Timestamp) -> Decision {
    let counted: Vec<_> = requests.iter().map(|request| add(request, windows, now)).collect();
    let full = requests.iter().filter_map(|request| {
        let window = windows.get(&request.name).filter(|window| window.count > i64::from(request.max))?;
        Some((window.expires_at.since(now), request.limit))
    });
    match full.max() {
        None => Decision::Counted(counted),
        Some((retry_after, limit)) => {
            counted.iter().for_each(|counted| subtract(counted, windows));
            Decision::Refused { limit, retry_after }
        }
    }
}

fn add(request: &CounterRequest, windows: &mut Windows, now: Timestamp) -> Counted {
    let empty = Window { count: 0, expires_at: now + request.window };
    let window = windows.entry(request.name.clone()).or_insert(empty);
    window.count += 1;
    Counted { name: request.name.clone(), expires_at: window.expires_at }
}

/// Takes one use back, unless its window has ended. The count never falls below zero.
pub(super) fn subtract(counted: &Counted, windows: &mut Windows) {
    if let Some(window) = windows.get_mut(&counted.name).filter(|window| window.expires_at == counted.expires_at) {
        window.count = (window.count - 1).max(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000);

    fn requests(uses: &[(&'static str, u32, u64)]) -> Vec<CounterRequest> {
        let request = |&(limit, max, secs): &(&'static str, u32, u64)| CounterRequest {
            name: limit.to_owned(),
            limit,
            max,
            window: Duration::from_secs(secs),
        };
        uses.iter().map(request).collect()
    }

    #[test]
    fn all_uses_are_counted_or_none_and_the_longest_wait_is_returned() {
        let mut windows = Windows::new();
        let first = count(&requests(&[("a", 5, 10), ("b", 1, 20), ("c", 1, 30)]), &mut windows, NOW);
        assert!(matches!(first, Decision::Counted(counted) if counted.len() == 3));
        let second = count(&requests(&[("a", 5, 10), ("b", 1, 20), ("c", 1, 30)]), &mut windows, NOW);
        assert_eq!(second, Decision::Refused { limit: "c", retry_after: Duration::from_secs(30) });
        assert_eq!(windows.values().map(|window| window.count).collect::<Vec<_>>(), [1, 1, 1]);
    }

    #[test]
    fn one_counter_twice_in_a_request_counts_two_uses() {
        let mut windows = Windows::new();
        let twice = requests(&[("a", 1, 10), ("a", 1, 10)]);
        assert!(matches!(count(&twice, &mut windows, NOW), Decision::Refused { .. }));
        assert_eq!(windows["a"].count, 0);
    }
}
