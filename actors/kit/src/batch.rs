//! Group commit: while one write is in flight, what arrives collects; the next write takes it all.
//!
//! At low load nothing waits for company; at high load one commit serves hundreds.

use std::{collections::VecDeque, fmt, sync::Arc};

/// What waits for the next write, and whether one is in flight.
pub struct Batch<T> {
    waiting: VecDeque<T>,
    in_flight: bool,
    largest: usize,
    landed: Arc<dyn Fn() + Send + Sync>,
}

impl<T> Batch<T> {
    /// Writes of at most `largest` items. `landed` is called when a write has ended, well or by a panic: it tells the actor, which
    /// calls [`Batch::land`].
    pub fn new(largest: usize, landed: impl Fn() + Send + Sync + 'static) -> Self {
        Self { waiting: VecDeque::new(), in_flight: false, largest, landed: Arc::new(landed) }
    }

    /// Adds an item to what waits.
    pub fn push(&mut self, item: T) {
        self.waiting.push_back(item);
    }

    /// What the next write shall take, unless one is in flight or nothing waits. Keep the [`Flight`] until the write has ended.
    pub fn take_off(&mut self) -> Option<(Vec<T>, Flight)> {
        if self.in_flight || self.waiting.is_empty() {
            return None;
        }
        self.in_flight = true;
        let size = self.waiting.len().min(self.largest);
        Some((self.waiting.drain(..size).collect(), Flight(Arc::clone(&self.landed))))
    }

    /// Notes that the write has ended.
    pub fn land(&mut self) {
        self.in_flight = false;
    }

    /// How many items wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

impl<T> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("waiting", &self.waiting.len()).field("in_flight", &self.in_flight).finish()
    }
}

/// A write in flight; dropped, it has landed.
pub struct Flight(Arc<dyn Fn() + Send + Sync>);

impl Drop for Flight {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flight")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn what_arrives_during_a_write_goes_with_the_next() {
        let landings = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&landings);
        let mut batch = Batch::new(2, move || {
            seen.fetch_add(1, Ordering::Relaxed);
        });
        batch.push(1);
        let (first, flight) = batch.take_off().expect("the first item does not wait");
        batch.push(2);
        batch.push(3);
        batch.push(4);
        assert!(batch.take_off().is_none(), "one write at a time");
        drop(flight);
        assert_eq!(landings.load(Ordering::Relaxed), 1);
        batch.land();
        let (second, _flight) = batch.take_off().expect("the rest goes next");
        assert_eq!((first, second, batch.waiting()), (vec![1], vec![2, 3], 1));
    }
}
