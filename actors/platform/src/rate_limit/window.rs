//! What a limit is, and when one is reached. No I/O.
//!
//! Windows are fixed: one begins with the first use, ends `within` later, and the use after that begins the next. So at worst, around the
//! seam, twice `most` pass in one `within`.

use std::{collections::BTreeMap, time::Duration};

use faceofmind_base::Timestamp;
use faceofmind_runtime::legacy::Failure;

/// How often something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is counted; each name has counters of its own.
    pub name: &'static str,
    /// So many uses a window.
    pub most: u32,
    /// How long a window is.
    pub within: Duration,
}

/// One use of something limited, by somebody.
#[derive(Clone, Debug)]
pub struct Use {
    /// What is limited.
    pub limit: Limit,
    /// For whom it is counted: an address, a client, both. Stored as a keyed hash only.
    pub subject: String,
}

/// Why the uses were not taken.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// A limit is reached; nothing was counted.
    #[error("too many attempts; the next is possible in {} s", retry_after.as_secs())]
    Exceeded {
        /// When the last of the full windows ends, from now.
        retry_after: Duration,
    },
    /// They could not be counted.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<faceofmind_db::StoreError> for LimitError {
    fn from(error: faceofmind_db::StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// One use as the stores see it.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// The counter: a keyed hash.
    pub(super) name: String,
    pub(super) most: u32,
    pub(super) within: Duration,
}

/// The uses of one caller: all are counted, or none.
pub(super) type Order = Vec<Wanted>;

/// A use that was counted, in the window that ends then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) name: String,
    pub(super) expires_at: Timestamp,
}

/// What became of one order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Taken(Vec<Counted>),
    Refused { retry_after: Duration },
}

/// A counter as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) count: i64,
    pub(super) expires_at: Timestamp,
}

/// Counters by name, and so in the order in which every node locks them.
pub(super) type Windows = BTreeMap<String, Window>;

/// Counts an order in `windows`, which hold all its counters.
pub(super) fn count(order: &Order, windows: &mut Windows, now: Timestamp) -> Verdict {
    let counted: Vec<_> = order.iter().map(|wanted| add(wanted, windows, now)).collect();
    let full = order.iter().filter_map(|wanted| windows.get(&wanted.name).filter(|w| w.count > i64::from(wanted.most)));
    match full.map(|window| window.expires_at.since(now)).max() {
        None => Verdict::Taken(counted),
        Some(retry_after) => {
            counted.iter().for_each(|counted| subtract(counted, windows));
            Verdict::Refused { retry_after }
        }
    }
}

fn add(wanted: &Wanted, windows: &mut Windows, now: Timestamp) -> Counted {
    let empty = Window { count: 0, expires_at: now + wanted.within };
    let window = windows.entry(wanted.name.clone()).or_insert(empty);
    window.count += 1;
    Counted { name: wanted.name.clone(), expires_at: window.expires_at }
}

/// Takes one use back, unless its window is over; never below zero.
pub(super) fn subtract(counted: &Counted, windows: &mut Windows) {
    if let Some(window) = windows.get_mut(&counted.name).filter(|window| window.expires_at == counted.expires_at) {
        window.count = (window.count - 1).max(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000);

    fn order(uses: &[(&str, u32, u64)]) -> Order {
        let wanted = |&(name, most, secs): &(&str, u32, u64)| Wanted {
            name: name.to_owned(),
            most,
            within: Duration::from_secs(secs),
        };
        uses.iter().map(wanted).collect()
    }

    #[test]
    fn all_are_counted_or_none_and_the_longest_wait_is_told() {
        let mut windows = Windows::new();
        let first = count(&order(&[("a", 5, 10), ("b", 1, 20), ("c", 1, 30)]), &mut windows, NOW);
        assert!(matches!(first, Verdict::Taken(counted) if counted.len() == 3));
        let second = count(&order(&[("a", 5, 10), ("b", 1, 20), ("c", 1, 30)]), &mut windows, NOW);
        assert_eq!(second, Verdict::Refused { retry_after: Duration::from_secs(30) });
        assert_eq!(windows.values().map(|window| window.count).collect::<Vec<_>>(), [1, 1, 1]);
    }

    #[test]
    fn one_counter_twice_in_an_order_counts_two() {
        let mut windows = Windows::new();
        let twice = order(&[("a", 1, 10), ("a", 1, 10)]);
        assert!(matches!(count(&twice, &mut windows, NOW), Verdict::Refused { .. }));
        assert_eq!(windows["a"].count, 0);
    }
}
