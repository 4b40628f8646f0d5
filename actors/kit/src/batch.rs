//! Group commit: while one write is in flight, what arrives collects; the next write takes it all.
//!
//! At low load nothing waits for company; at high load one commit serves hundreds.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Every flight of this process has a number of its own: a late landing of a dead actor's flight, told at an address where its successor
/// lives by then, is known to be none of the successor's.
static FLIGHTS: AtomicU64 = AtomicU64::new(1);

/// Which write it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlightNumber(u64);

type Landed = Arc<dyn Fn(FlightNumber) + Send + Sync>;

/// What waits for the next write, and whether one is in flight.
pub struct Batch<T> {
    waiting: VecDeque<(T, usize)>,
    in_flight: Option<FlightNumber>,
    largest: usize,
    landed: Landed,
}

impl<T> Batch<T> {
    /// Writes of at most `largest` items, as [`Batch::push`] counts them. `landed` is called when a write has ended, well or by a panic: it tells the actor, which
    /// calls [`Batch::land`].
    pub fn new(largest: usize, landed: impl Fn(FlightNumber) + Send + Sync + 'static) -> Self {
        Self { waiting: VecDeque::new(), in_flight: None, largest, landed: Arc::new(landed) }
    }

    /// Adds an item to what waits.
    pub fn push(&mut self, item: T) {
        self.push_weighing(item, 1);
    }

    /// Adds an item that counts as so many. One that alone is more than a write may hold goes alone.
    pub fn push_weighing(&mut self, item: T, weight: usize) {
        self.waiting.push_back((item, weight));
    }

    /// What the next write shall take, unless one is in flight or nothing waits. Keep the [`Flight`] until the write has ended.
    pub fn take_off(&mut self) -> Option<(Vec<T>, Flight)> {
        if self.in_flight.is_some() || self.waiting.is_empty() {
            return None;
        }
        let number = FlightNumber(FLIGHTS.fetch_add(1, Ordering::Relaxed));
        self.in_flight = Some(number);
        let size = self.size_of_next();
        let flight = Flight { number, landed: Arc::clone(&self.landed) };
        Some((self.waiting.drain(..size).map(|(item, _)| item).collect(), flight))
    }

    fn size_of_next(&self) -> usize {
        let sums = self.waiting.iter().scan(0_usize, |sum, (_, weight)| {
            *sum = sum.saturating_add(*weight);
            Some(*sum)
        });
        sums.take_while(|sum| *sum <= self.largest).count().max(1)
    }

    /// Notes that this write has ended; another's is none of ours.
    pub fn land(&mut self, flight: FlightNumber) {
        self.in_flight.take_if(|number| *number == flight);
    }

    /// Notes that whatever was in flight has ended, for an actor that stops and hears no letters any more.
    pub fn land_all(&mut self) {
        self.in_flight = None;
    }

    /// Whether a write is in flight.
    pub fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
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
pub struct Flight {
    number: FlightNumber,
    landed: Landed,
}

impl Drop for Flight {
    fn drop(&mut self) {
        (self.landed)(self.number);
    }
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn what_arrives_during_a_write_goes_with_the_next() {
        let landings = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&landings);
        let mut batch = Batch::new(2, move |FlightNumber(number)| seen.store(number, Ordering::Relaxed));
        batch.push(1);
        let (first, flight) = batch.take_off().expect("the first item does not wait");
        batch.push(2);
        batch.push(3);
        batch.push(4);
        assert!(batch.take_off().is_none(), "one write at a time");
        drop(flight);
        batch.land(FlightNumber(landings.load(Ordering::Relaxed)));
        let (second, _flight) = batch.take_off().expect("the rest goes next");
        assert_eq!((first, second, batch.waiting()), (vec![1], vec![2, 3], 1));
    }

    #[test]
    fn what_weighs_more_leaves_less_room_for_others() {
        let mut batch = Batch::new(5, |_| {});
        for (item, weight) in [("a", 2), ("b", 3), ("c", 1), ("d", 9), ("e", 1)] {
            batch.push_weighing(item, weight);
        }
        let mut writes = Vec::new();
        while let Some((write, _flight)) = batch.take_off() {
            writes.push(write);
            batch.land_all();
        }
        assert_eq!(writes, [vec!["a", "b"], vec!["c"], vec!["d"], vec!["e"]]);
    }

    #[test]
    fn a_late_landing_of_another_actors_write_is_none_of_ours() {
        let mut of_the_dead = Batch::new(2, |_| {});
        of_the_dead.push(1);
        let (_, late) = of_the_dead.take_off().expect("takes off");
        let mut batch = Batch::new(2, |_| {});
        batch.push(2);
        let (_, _flight) = batch.take_off().expect("takes off");
        batch.land(late.number);
        assert!(batch.is_in_flight());
    }
}
