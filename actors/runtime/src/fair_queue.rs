//! A bounded queue that is fair between callers.
//!
//! *Guarantees*: callers are served by turns, so the work of one waits for at most one piece of each other caller, however much any of them has
//! queued. A lone caller may use the whole queue. When the queue is full, the newest work of the caller with most waiting gives way to a
//! newcomer. However many callers wait, each step costs the logarithm of their number, except [`FairQueue::retain`],
//! and [`FairQueue::pop_of`] for the callers that it passes over.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use crate::AskError;

/// Whose work it is. Callers of one group share a turn, as the networks of one provider's customer do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    group: Arc<str>,
    key: Arc<str>,
}

impl Caller {
    /// A caller that is its own group.
    pub fn alone(key: impl Into<Arc<str>>) -> Self {
        let key = key.into();
        Self { group: Arc::clone(&key), key }
    }

    /// A caller of a group.
    pub fn in_group(group: impl Into<Arc<str>>, key: impl Into<Arc<str>>) -> Self {
        Self { group: group.into(), key: key.into() }
    }
}

/// Work of several callers, at most `capacity` in all.
#[derive(Debug)]
pub struct FairQueue<W> {
    groups: Rota<Rota<VecDeque<W>>>,
    capacity: usize,
}

/// Work that found no place.
#[derive(Debug, PartialEq, Eq)]
pub struct Displaced<W> {
    /// What was queued.
    pub work: W,
    /// Whether its caller had more waiting: it is beyond its share. Otherwise there are more callers than places.
    pub is_over_share: bool,
}

impl<W> Displaced<W> {
    /// Returns what its caller is answered by the queue of this name.
    pub fn error(&self, name: &'static str) -> AskError {
        if self.is_over_share { AskError::OverShare(name) } else { AskError::Busy(name) }
    }
}

impl<W> FairQueue<W> {
    /// Returns an empty queue.
    pub fn new(capacity: usize) -> Self {
        Self { groups: Rota::default(), capacity }
    }

    /// Adds work behind that of the same caller. Returns what found no place: the newest work of the caller with most waiting, which may be this.
    pub fn push(&mut self, caller: Caller, work: W) -> Option<Displaced<W>> {
        let Caller { group, key } = caller;
        self.groups.change(&group, |callers| callers.change(&key, |works| works.push_back(work)));
        if self.len() > self.capacity { self.displace(&group, &key) } else { None }
    }

    /// Takes the next work, and gives the next turn to another caller.
    pub fn pop(&mut self) -> Option<W> {
        self.pop_wanted(|_| true, drop)
    }

    /// Takes the next work that is wanted. What stands before it and is not goes to `leave`, and uses up no turn of its caller.
    pub fn pop_wanted(&mut self, is_wanted: impl Fn(&W) -> bool, mut leave: impl FnMut(W)) -> Option<W> {
        while !self.is_empty() {
            let wanted = self.groups.next_turn(|callers| {
                callers.next_turn(|works| {
                    loop {
                        let work = works.pop_front()?;
                        if is_wanted(&work) {
                            return Some(work);
                        }
                        leave(work);
                    }
                })
            });
            if let Some(work) = wanted.flatten().flatten() {
                return Some(work);
            }
        }
        None
    }

    /// Takes the next work of a caller that may have it. The others keep their turns; their number counts in what this costs.
    pub fn pop_of(&mut self, is_ready: impl Fn(&Caller) -> bool) -> Option<W> {
        let of_group = |(group, callers): (&Arc<str>, &Rota<VecDeque<W>>)| {
            let mut of_group =
                callers.by_turn().map(|(key, _)| Caller { group: Arc::clone(group), key: Arc::clone(key) });
            of_group.find(|caller| is_ready(caller))
        };
        let Caller { group, key } = self.groups.by_turn().find_map(of_group)?;
        self.groups.take_turn(&group, |callers| callers.take_turn(&key, VecDeque::pop_front)).flatten().flatten()
    }

    /// Whether a caller of this kind waits.
    pub fn any_of(&self, is_meant: impl Fn(&Caller) -> bool) -> bool {
        self.groups.by_turn().any(|(group, callers)| {
            callers.by_turn().any(|(key, _)| is_meant(&Caller { group: Arc::clone(group), key: Arc::clone(key) }))
        })
    }

    /// Drops the work that is no longer wanted.
    pub fn retain(&mut self, is_wanted: impl Fn(&W) -> bool) {
        self.groups.change_all(|callers| callers.change_all(|works| works.retain(&is_wanted)));
    }

    /// The number of pieces of work that wait.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// The most pieces of work that may wait.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether no place is left.
    pub fn is_full(&self) -> bool {
        self.len() >= self.capacity
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the newest work of the largest caller of the largest group; among equals, that of this caller.
    fn displace(&mut self, group: &Arc<str>, key: &Arc<str>) -> Option<Displaced<W>> {
        let largest_group = self.groups.largest(group)?;
        self.groups.change(&largest_group, |callers| {
            let is_over_share = callers.len() > 1;
            let work = callers.change(&callers.largest(key)?, VecDeque::pop_back)?;
            Some(Displaced { work, is_over_share })
        })
    }
}

/// What has a number of pieces of work.
trait Work: Default {
    fn len(&self) -> usize;
}

impl<W> Work for VecDeque<W> {
    fn len(&self) -> usize {
        Self::len(self)
    }
}

/// The work of several keys, which take turns. A key without work is forgotten.
#[derive(Debug)]
struct Rota<L> {
    /// The turn and the work of each key.
    lanes: HashMap<Arc<str>, (u64, L)>,
    /// The keys by their turn, the next one first.
    turns: BTreeMap<u64, Arc<str>>,
    /// The size and the turn of each key, the largest last.
    sizes: BTreeSet<(usize, u64)>,
    /// The last turn that a key got.
    last: u64,
    len: usize,
}

impl<L> Default for Rota<L> {
    fn default() -> Self {
        Self { lanes: HashMap::new(), turns: BTreeMap::new(), sizes: BTreeSet::new(), last: 0, len: 0 }
    }
}

impl<L: Work> Rota<L> {
    /// Changes the work of a key. A new key gets the last turn.
    fn change<R>(&mut self, key: &Arc<str>, change: impl FnOnce(&mut L) -> R) -> R {
        let (turn, mut lane) = self.take(key).unwrap_or_else(|| (self.last_turn(), L::default()));
        let result = change(&mut lane);
        self.put(key, turn, lane);
        result
    }

    /// Changes the work of the key whose turn it is, which then gets the last turn.
    fn next_turn<R>(&mut self, change: impl FnOnce(&mut L) -> R) -> Option<R> {
        let key = self.turns.first_key_value().map(|(_, key)| Arc::clone(key))?;
        self.take_turn(&key, change)
    }

    /// Changes the work of a key, which then gets the last turn.
    fn take_turn<R>(&mut self, key: &Arc<str>, change: impl FnOnce(&mut L) -> R) -> Option<R> {
        let (_, mut lane) = self.take(key)?;
        let result = change(&mut lane);
        let turn = self.last_turn();
        self.put(key, turn, lane);
        Some(result)
    }

    /// The keys and their work, the next one first.
    fn by_turn(&self) -> impl Iterator<Item = (&Arc<str>, &L)> {
        self.turns.values().filter_map(|key| self.lanes.get(key).map(|(_, lane)| (key, lane)))
    }

    /// Changes the work of every key. It may only become less.
    fn change_all(&mut self, mut change: impl FnMut(&mut L)) {
        let Self { lanes, turns, sizes, len, .. } = self;
        lanes.retain(|_, (turn, lane)| {
            let before = lane.len();
            change(lane);
            let after = lane.len();
            if after < before {
                *len -= before - after;
                sizes.remove(&(before, *turn));
                if after == 0 {
                    turns.remove(turn);
                } else {
                    sizes.insert((after, *turn));
                }
            }
            after > 0
        });
    }

    /// The key with most work; among equals, this one.
    fn largest(&self, preferred: &Arc<str>) -> Option<Arc<str>> {
        let (size, turn) = self.sizes.last()?;
        let is_preferred = self.lanes.get(preferred).is_some_and(|(_, lane)| lane.len() == *size);
        if is_preferred { Some(Arc::clone(preferred)) } else { self.turns.get(turn).cloned() }
    }

    fn last_turn(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn take(&mut self, key: &Arc<str>) -> Option<(u64, L)> {
        let (turn, lane) = self.lanes.remove(key)?;
        self.turns.remove(&turn);
        self.sizes.remove(&(lane.len(), turn));
        self.len -= lane.len();
        Some((turn, lane))
    }

    fn put(&mut self, key: &Arc<str>, turn: u64, lane: L) {
        let size = lane.len();
        if size > 0 {
            self.turns.insert(turn, Arc::clone(key));
            self.sizes.insert((size, turn));
            self.lanes.insert(Arc::clone(key), (turn, lane));
            self.len += size;
        }
    }
}

impl<L: Work> Work for Rota<L> {
    fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Callers whose names begin alike are a group: `a1` and `a2`.
    fn caller(name: &str) -> Caller {
        Caller::in_group(&name[..1], name)
    }

    fn queue(capacity: usize, work: &[&'static str]) -> FairQueue<&'static str> {
        let mut queue = FairQueue::new(capacity);
        for name in work {
            assert_eq!(queue.push(caller(name), *name), None);
        }
        queue
    }

    fn rest(queue: &mut FairQueue<&'static str>) -> Vec<&'static str> {
        let mut popped = Vec::new();
        while let Some(work) = queue.pop() {
            popped.push(work);
        }
        assert!(queue.is_empty());
        popped
    }

    #[test]
    fn callers_are_served_by_turns_and_groups_share_a_turn() {
        let mut queue = queue(9, &["a1", "a1", "a1", "a2", "a2", "b1", "b1", "c1"]);
        assert_eq!(rest(&mut queue), ["a1", "b1", "c1", "a2", "b1", "a1", "a2", "a1"]);
    }

    #[test]
    fn the_newest_work_of_the_largest_caller_gives_way() {
        let mut full = queue(4, &["a1", "a1", "a1", "b1"]);
        assert_eq!(full.push(caller("c1"), "c1"), Some(Displaced { work: "a1", is_over_share: true }));
        assert_eq!(full.push(caller("a1"), "late"), Some(Displaced { work: "late", is_over_share: true }));
        assert_eq!(rest(&mut full), ["a1", "b1", "c1", "a1"]);
    }

    #[test]
    fn many_networks_of_one_group_displace_one_another_and_no_other_group() {
        let mut full = queue(4, &["a1", "a2", "a3", "b1"]);
        assert_eq!(full.push(caller("a4"), "a4"), Some(Displaced { work: "a4", is_over_share: true }));
        assert_eq!(full.push(caller("c1"), "c1"), Some(Displaced { work: "a3", is_over_share: true }));
        assert_eq!(rest(&mut full), ["a1", "b1", "c1", "a2"]);
    }

    #[test]
    fn among_equal_callers_the_newcomer_finds_no_place() {
        let mut full = queue(3, &["a1", "b1", "c1"]);
        assert_eq!(full.push(caller("d1"), "d1"), Some(Displaced { work: "d1", is_over_share: false }));
        assert_eq!(full.len(), 3);
    }

    /// The same by the simplest means: one list, in the order of arrival.
    #[derive(Default)]
    struct Model {
        waiting: Vec<(u64, u64)>,
        turns: Vec<u64>,
    }

    impl Model {
        fn push(&mut self, caller: u64, work: u64) {
            if !self.turns.contains(&caller) {
                self.turns.push(caller);
            }
            self.waiting.push((caller, work));
        }

        fn pop(&mut self) -> Option<u64> {
            let caller = *self.turns.first()?;
            let first = self.waiting.iter().position(|(of, _)| *of == caller)?;
            let (_, work) = self.waiting.remove(first);
            self.turns.remove(0);
            self.turns.push(caller);
            self.forget_empty();
            Some(work)
        }

        fn displace(&mut self, newcomer: u64) -> u64 {
            let size = |caller: u64| self.waiting.iter().filter(|(of, _)| *of == caller).count();
            let largest = self.turns.iter().map(|caller| size(*caller)).max().expect("there is work");
            let last = self.turns.iter().rfind(|caller| size(**caller) == largest).expect("the largest");
            let victim = if size(newcomer) == largest { newcomer } else { *last };
            let newest = self.waiting.iter().rposition(|(of, _)| *of == victim).expect("it waits");
            let (_, work) = self.waiting.remove(newest);
            self.forget_empty();
            work
        }

        fn forget_empty(&mut self) {
            self.turns.retain(|caller| self.waiting.iter().any(|(of, _)| of == caller));
        }
    }

    #[test]
    fn the_queue_does_what_a_simple_list_does() {
        let (mut queue, mut model) = (FairQueue::new(12), Model::default());
        let mut state = 7_u64;
        for work in 0..20_000 {
            // Knuth's MMIX generator.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (caller, choice) = ((state >> 33) % 7, (state >> 40) % 10);
            if choice < 6 {
                model.push(caller, work);
                let displaced = (model.waiting.len() > 12).then(|| model.displace(caller));
                let found = queue.push(Caller::alone(caller.to_string()), work).map(|displaced| displaced.work);
                assert_eq!(found, displaced, "step {work}");
            } else if choice < 9 {
                assert_eq!(queue.pop(), model.pop(), "step {work}");
            } else {
                queue.retain(|work| work % 5 != 0);
                model.waiting.retain(|(_, work)| work % 5 != 0);
                model.forget_empty();
            }
            assert_eq!(queue.len(), model.waiting.len());
        }
    }

    #[test]
    fn unwanted_work_uses_up_no_turn() {
        let mut queue = queue(9, &["a1", "a1", "b1"]);
        assert_eq!(queue.push(caller("a1"), "late"), None);
        let mut left = Vec::new();
        assert_eq!(queue.pop_wanted(|work| *work == "late", |work| left.push(work)), Some("late"));
        assert_eq!((left, rest(&mut queue)), (vec!["a1", "a1"], vec!["b1"]));
    }

    #[test]
    fn a_caller_that_is_not_ready_keeps_its_turn() {
        let mut queue = queue(9, &["a1", "a2", "b1", "b1"]);
        assert_eq!(queue.pop_of(|caller| *caller.key != *"a1"), Some("a2"));
        assert_eq!(queue.pop_of(|caller| *caller.group != *"a"), Some("b1"));
        assert_eq!(queue.pop_of(|caller| *caller.key == *"c1"), None);
        assert!(queue.any_of(|caller| *caller.key == *"a1") && !queue.any_of(|caller| *caller.key == *"a2"));
        assert_eq!(rest(&mut queue), ["a1", "b1"]);
    }

    #[test]
    fn unwanted_work_leaves_its_place() {
        let mut queue = queue(4, &["a1", "a2", "b1"]);
        queue.retain(|work| *work != "a1" && *work != "b1");
        assert_eq!((queue.len(), rest(&mut queue)), (1, vec!["a2"]));
    }
}
