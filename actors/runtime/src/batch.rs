//! Group commit: while one flush is in flight, commands collect, and the next flush takes them all.
//!
//! At low load a command is flushed at once. At high load one commit serves hundreds of commands, and callers take turns: the command of one waits
//! for at most one of each other caller, however many those have pending. The commands of one caller stay in order.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::time::Instant;

use crate::{Actor, Caller, FairQueue, Handle, MAX_QUEUED};

/// Flush ids are unique in the process, so that an actor ignores the end of a flush that its predecessor at the same handle began.
static NEXT_FLUSH_ID: AtomicU64 = AtomicU64::new(1);

/// Identifies one flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushId(u64);

type OnFlushed = Arc<dyn Fn(FlushId) + Send + Sync>;

/// The commands that wait for the next flush, and the flush in flight.
pub struct Batch<T> {
    /// Commands whose turn has come, before all others.
    next: VecDeque<Pending<T>>,
    pending: FairQueue<Pending<T>>,
    /// The caller of commands that name none.
    anyone: Caller,
    in_flight: Option<FlushId>,
    max_weight: usize,
    on_flushed: OnFlushed,
    record_size: Option<Box<dyn Fn(usize) + Send>>,
    refuse_late: Option<fn(T)>,
}

struct Pending<T> {
    item: T,
    weight: usize,
    since: Instant,
}

impl<T> Pending<T> {
    fn is_in_time(&self) -> bool {
        self.since.elapsed() <= MAX_QUEUED
    }
}

impl<T> Batch<T> {
    /// Returns an empty batch whose flushes weigh at most `max_weight`. `on_flushed` is called when a flush has ended, also by a panic; it
    /// tells the actor, which calls [`Batch::finish_flush`].
    pub fn new(max_weight: usize, on_flushed: impl Fn(FlushId) + Send + Sync + 'static) -> Self {
        let on_flushed = Arc::new(on_flushed);
        let (next, in_flight, record_size, refuse_late) = Default::default();
        // The mailbox of the actor bounds them.
        let (pending, anyone) = (FairQueue::new(usize::MAX), Caller::alone("anyone"));
        Self { next, pending, anyone, in_flight, max_weight, on_flushed, record_size, refuse_late }
    }

    /// Gives the commands to `refuse` that have waited longer than [`MAX_QUEUED`] when their turn comes.
    pub fn refuse_late(self, refuse: fn(T)) -> Self {
        Self { refuse_late: Some(refuse), ..self }
    }

    /// Records the number of commands of each flush in the metrics of that actor.
    pub fn record_sizes<A: Actor>(self, handle: &Handle<A>) -> Self {
        let handle = handle.clone();
        Self { record_size: Some(Box::new(move |size| handle.record_batch_size(size))), ..self }
    }

    /// Adds a command of weight 1, behind all others that were added so: they take one turn together.
    pub fn push(&mut self, item: T) {
        self.push_weighted(self.anyone.clone(), item, 1);
    }

    /// Adds a command of that weight. A command that weighs more than a flush may is flushed alone.
    pub fn push_weighted(&mut self, caller: Caller, item: T, weight: usize) {
        let displaced = self.pending.push(caller, Pending { item, weight, since: Instant::now() });
        debug_assert!(displaced.is_none(), "the queue has no bound of its own");
    }

    /// Adds a command of that weight before those that are pending: it was taken for an earlier flush, and could not go with it. Its wait
    /// counts from now.
    pub fn push_front_weighted(&mut self, item: T, weight: usize) {
        self.next.push_front(Pending { item, weight, since: Instant::now() });
    }

    /// Starts the next flush and returns its commands, unless a flush is in flight or none is pending. Keep the guard until the flush has
    /// ended.
    pub fn start_flush(&mut self) -> Option<(Vec<T>, FlushGuard)> {
        if self.in_flight.is_some() {
            return None;
        }
        let flush = self.take_flush();
        if flush.is_empty() {
            return None;
        }
        let id = FlushId(NEXT_FLUSH_ID.fetch_add(1, Ordering::Relaxed));
        self.in_flight = Some(id);
        if let Some(record) = &self.record_size {
            record(flush.len());
        }
        Some((flush, FlushGuard { id, on_flushed: Arc::clone(&self.on_flushed) }))
    }

    /// Takes commands while they fit, at least one. What does not fit goes first with the next flush.
    fn take_flush(&mut self) -> Vec<T> {
        let (mut flush, mut sum) = (Vec::new(), 0_usize);
        while let Some(pending) = self.pop_in_time() {
            sum = sum.saturating_add(pending.weight);
            if sum > self.max_weight && !flush.is_empty() {
                self.next.push_front(pending);
                break;
            }
            flush.push(pending.item);
        }
        flush
    }

    /// Takes the next command, and refuses those before it that have waited too long.
    fn pop_in_time(&mut self) -> Option<Pending<T>> {
        let Some(refuse) = self.refuse_late else { return self.next.pop_front().or_else(|| self.pending.pop()) };
        while let Some(pending) = self.next.pop_front() {
            if pending.is_in_time() {
                return Some(pending);
            }
            refuse(pending.item);
        }
        self.pending.pop_wanted(Pending::is_in_time, |late| refuse(late.item))
    }

    /// Records the end of a flush. The end of another actor's flush is ignored.
    pub fn finish_flush(&mut self, flush: FlushId) {
        self.in_flight.take_if(|id| *id == flush);
    }

    /// Records the end of the flush in flight, for an actor that is stopping and receives no more messages.
    pub fn reset(&mut self) {
        self.in_flight = None;
    }

    /// Whether a flush is in flight.
    pub fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// The number of commands that wait for a flush.
    pub fn pending(&self) -> usize {
        self.next.len() + self.pending.len()
    }
}

impl<T> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("pending", &self.pending()).field("in_flight", &self.in_flight).finish()
    }
}

/// Stands for a flush in flight. Dropping it ends the flush.
pub struct FlushGuard {
    id: FlushId,
    on_flushed: OnFlushed,
}

impl Drop for FlushGuard {
    fn drop(&mut self) {
        (self.on_flushed)(self.id);
    }
}

impl fmt::Debug for FlushGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_with_many_commands_leaves_others_their_turn() {
        let mut batch = Batch::new(5, |_| {});
        for (caller, item, weight) in
            [("a", "a1", 9), ("a", "a2", 9), ("a", "a3", 1), ("b", "b1", 1), ("b", "b2", 1), ("c", "c1", 1)]
        {
            batch.push_weighted(Caller::alone(caller), item, weight);
        }
        let mut flushes = Vec::new();
        while let Some((flush, _guard)) = batch.start_flush() {
            flushes.push(flush);
            batch.reset();
        }
        assert_eq!(flushes, [vec!["a1"], vec!["b1", "c1"], vec!["a2"], vec!["b2", "a3"]]);
    }

    #[test]
    fn commands_that_arrive_during_a_flush_go_with_the_next() {
        let ended = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&ended);
        let mut batch = Batch::new(2, move |FlushId(id)| seen.store(id, Ordering::Relaxed));
        batch.push(1);
        let (first, guard) = batch.start_flush().expect("the first command does not wait");
        batch.push(2);
        batch.push(3);
        batch.push(4);
        assert!(batch.start_flush().is_none(), "one flush at a time");
        drop(guard);
        batch.finish_flush(FlushId(ended.load(Ordering::Relaxed)));
        let (second, _guard) = batch.start_flush().expect("the rest goes next");
        assert_eq!((first, second, batch.pending()), (vec![1], vec![2, 3], 1));
    }

    #[test]
    fn heavy_commands_leave_less_space_in_a_flush() {
        let mut batch = Batch::new(5, |_| {});
        for (item, weight) in [("a", 2), ("b", 3), ("c", 1), ("d", 9), ("e", 1)] {
            batch.push_weighted(Caller::alone("a"), item, weight);
        }
        let mut flushes = Vec::new();
        while let Some((flush, _guard)) = batch.start_flush() {
            flushes.push(flush);
            batch.reset();
        }
        assert_eq!(flushes, [vec!["a", "b"], vec!["c"], vec!["d"], vec!["e"]]);
    }

    #[test]
    fn the_end_of_another_actors_flush_is_ignored() {
        let mut dead_actors = Batch::new(2, |_| {});
        dead_actors.push(1);
        let (_, late) = dead_actors.start_flush().expect("starts");
        let mut batch = Batch::new(2, |_| {});
        batch.push(2);
        let (_, _guard) = batch.start_flush().expect("starts");
        batch.finish_flush(late.id);
        assert!(batch.is_in_flight());
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_that_waited_too_long_is_refused_when_its_turn_comes() {
        static REFUSED: AtomicU64 = AtomicU64::new(0);
        let mut batch = Batch::new(9, |_| {}).refuse_late(|item| REFUSED.store(item, Ordering::Relaxed));
        batch.push(1);
        let (_, _first) = batch.start_flush().expect("starts");
        batch.push(2);
        tokio::time::advance(MAX_QUEUED).await;
        batch.push(3);
        tokio::time::advance(std::time::Duration::from_millis(1)).await;
        batch.push_front_weighted(4, 1);
        batch.reset();
        let (flush, _second) = batch.start_flush().expect("the rest");
        assert_eq!((flush, REFUSED.load(Ordering::Relaxed)), (vec![4, 3], 2), "the first one's wait began anew");
        batch.push(5);
        tokio::time::advance(MAX_QUEUED * 2).await;
        batch.push(6);
        batch.reset();
        let (flush, _third) = batch.start_flush().expect("the rest");
        assert_eq!((flush, REFUSED.load(Ordering::Relaxed)), (vec![6], 5));
    }
}
