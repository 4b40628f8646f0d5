//! How many there are of each key.

use std::{collections::HashMap, hash::Hash};

/// Counts by key. A key without any takes no memory.
#[derive(Debug)]
pub struct KeyCounts<K> {
    counts: HashMap<K, usize>,
    total: usize,
}

impl<K> Default for KeyCounts<K> {
    fn default() -> Self {
        Self { counts: HashMap::new(), total: 0 }
    }
}

impl<K: Eq + Hash> KeyCounts<K> {
    /// Counts one more.
    pub fn add(&mut self, key: K) {
        *self.counts.entry(key).or_default() += 1;
        self.total += 1;
    }

    /// Counts one less. A key without any stays so.
    pub fn remove(&mut self, key: &K) {
        let Some(count) = self.counts.get_mut(key) else { return };
        *count -= 1;
        self.total -= 1;
        if *count == 0 {
            self.counts.remove(key);
        }
    }

    /// Returns how many there are of the key.
    pub fn of(&self, key: &K) -> usize {
        self.counts.get(key).copied().unwrap_or(0)
    }

    /// Returns how many there are of all keys.
    pub fn total(&self) -> usize {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_forgotten_with_its_last_one() {
        let mut counts = KeyCounts::default();
        for key in ["a", "b", "a"] {
            counts.add(key);
        }
        counts.remove(&"c");
        assert_eq!((counts.of(&"a"), counts.of(&"c"), counts.total()), (2, 0, 3));
        counts.remove(&"a");
        counts.remove(&"b");
        assert_eq!((counts.of(&"a"), counts.total(), counts.counts.len()), (1, 1, 1));
    }
}
