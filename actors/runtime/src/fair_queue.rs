//! A bounded queue that is fair between callers, and a gate that serves callers from it.
//!
//! *Guarantees*: callers are served by turns, so the work of one waits for at most one piece of each other caller, however much any of them has
//! queued. A lone caller may use the whole queue. When the queue is full, the newest work of the caller with most waiting gives way to a
//! newcomer.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::AskError;

/// Whose work it is. Callers of one group share a turn, as the networks of one provider's customer do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    group: Arc<str>,
    key: String,
}

impl Caller {
    /// A caller that is its own group.
    pub fn alone(key: impl Into<String>) -> Self {
        let key = key.into();
        Self { group: Arc::from(key.as_str()), key }
    }

    /// A caller of a group.
    pub fn in_group(group: impl Into<Arc<str>>, key: impl Into<String>) -> Self {
        Self { group: group.into(), key: key.into() }
    }
}

/// Work of several callers, at most `capacity` in all.
#[derive(Debug)]
pub struct FairQueue<W> {
    /// Those that have work, by name.
    groups: HashMap<Arc<str>, Lanes<W>>,
    /// Their names. The next turn is the front's.
    turns: VecDeque<Arc<str>>,
    len: usize,
    capacity: usize,
}

/// The callers of one group, each with its work in order. The next turn is the front's.
#[derive(Debug)]
struct Lanes<W>(VecDeque<(Caller, VecDeque<W>)>);

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
        Self { groups: HashMap::new(), turns: VecDeque::new(), len: 0, capacity }
    }

    /// Adds work behind that of the same caller. Returns what found no place: the newest work of the caller with most waiting, which may be this.
    pub fn push(&mut self, caller: Caller, work: W) -> Option<Displaced<W>> {
        let group = Arc::clone(&caller.group);
        let lanes = &mut self.groups.entry(Arc::clone(&group)).or_insert_with(|| {
            self.turns.push_back(Arc::clone(&group));
            Lanes(VecDeque::new())
        });
        let lane = lanes.0.iter().position(|lane| lane.0 == caller).unwrap_or_else(|| {
            lanes.0.push_back((caller, VecDeque::new()));
            lanes.0.len() - 1
        });
        lanes.0[lane].1.push_back(work);
        self.len += 1;
        if self.len > self.capacity { self.displace(&group, lane) } else { None }
    }

    /// Takes the next work, and gives the next turn to another caller.
    pub fn pop(&mut self) -> Option<W> {
        let turn = self.turns.pop_front()?;
        let group = self.groups.get_mut(&turn)?;
        let mut lane = group.0.pop_front()?;
        let work = lane.1.pop_front();
        if !lane.1.is_empty() {
            group.0.push_back(lane);
        }
        if group.0.is_empty() {
            self.groups.remove(&turn);
        } else {
            self.turns.push_back(turn);
        }
        self.len -= 1;
        work
    }

    /// Drops the work that is no longer wanted.
    pub fn retain(&mut self, is_wanted: impl Fn(&W) -> bool) {
        for group in self.groups.values_mut() {
            for lane in &mut group.0 {
                lane.1.retain(&is_wanted);
            }
            group.0.retain(|lane| !lane.1.is_empty());
        }
        self.forget_empty();
        self.len = self.groups.values().map(Lanes::len).sum();
    }

    fn forget_empty(&mut self) {
        self.groups.retain(|_, group| !group.0.is_empty());
        self.turns.retain(|name| self.groups.contains_key(name));
    }

    /// The number of pieces of work that wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no place is left.
    pub fn is_full(&self) -> bool {
        self.len >= self.capacity
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes the newest work of the largest caller of the largest group; among equals, that of the caller at `group` and `lane`.
    fn displace(&mut self, group: &Arc<str>, lane: usize) -> Option<Displaced<W>> {
        let own = self.turns.iter().position(|name| name == group)?;
        let sizes = self.turns.iter().map(|name| self.groups.get(name).map_or(0, Lanes::len));
        let largest = &self.turns[largest(sizes, own)];
        let lanes = &mut self.groups.get_mut(largest)?.0;
        let own = if largest == group { lane } else { lanes.len() - 1 };
        let victim = self::largest(lanes.iter().map(|lane| lane.1.len()), own);
        let is_over_share = lanes.len() > 1 || lanes[victim].1.len() > 1;
        let work = lanes[victim].1.pop_back()?;
        lanes.retain(|lane| !lane.1.is_empty());
        self.forget_empty();
        self.len -= 1;
        Some(Displaced { work, is_over_share })
    }
}

impl<W> Lanes<W> {
    fn len(&self) -> usize {
        self.0.iter().map(|lane| lane.1.len()).sum()
    }
}

/// Returns the index of the largest number; among equals, `preferred`.
fn largest(numbers: impl Iterator<Item = usize>, preferred: usize) -> usize {
    numbers
        .enumerate()
        .max_by_key(|&(index, number)| (number, index == preferred))
        .map_or(preferred, |(index, _)| index)
}

/// Lets up to a number of callers pass at a time. The others wait by turns. Clones share it.
pub struct FairGate(Arc<Gate>);

struct Gate {
    name: &'static str,
    state: Mutex<GateState>,
}

struct GateState {
    free: usize,
    waiting: FairQueue<oneshot::Sender<Result<GatePass, AskError>>>,
}

/// A place behind a [`FairGate`]. Dropping it lets the next caller pass.
pub struct GatePass(FairGate);

impl FairGate {
    /// Returns a gate with `places`, before which at most `capacity` callers wait.
    pub fn new(name: &'static str, places: usize, capacity: usize) -> Self {
        let state = Mutex::new(GateState { free: places, waiting: FairQueue::new(capacity) });
        Self(Arc::new(Gate { name, state }))
    }

    /// Takes a place if one is free.
    pub fn try_pass(&self) -> Option<GatePass> {
        let mut state = self.state();
        state.free = state.free.checked_sub(1)?;
        Some(GatePass(self.clone()))
    }

    /// Waits for a place. A caller that stops waiting loses its turn to the next.
    ///
    /// # Errors
    /// [`AskError::OverShare`] and [`AskError::Busy`] when no place to wait is left.
    pub async fn pass(&self, caller: Caller) -> Result<GatePass, AskError> {
        let name = self.0.name;
        let passed = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                return Ok(GatePass(self.clone()));
            }
            let (sender, passed) = oneshot::channel();
            if state.waiting.is_full() {
                state.waiting.retain(|waiting| !waiting.is_closed());
            }
            if let Some(displaced) = state.waiting.push(caller, sender) {
                let error = displaced.error(name);
                drop(displaced.work.send(Err(error)));
            }
            passed
        };
        passed.await.unwrap_or(Err(AskError::Unavailable(name)))
    }

    /// The number of callers that wait.
    pub fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    fn state(&self) -> MutexGuard<'_, GateState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for GatePass {
    fn drop(&mut self) {
        let next = {
            let mut state = self.0.state();
            loop {
                match state.waiting.pop() {
                    Some(waiting) if waiting.is_closed() => {}
                    Some(waiting) => break waiting,
                    None => {
                        state.free += 1;
                        return;
                    }
                }
            }
        };
        // Outside of the lock: a caller that stopped waiting just now drops this pass, which locks again.
        drop(next.send(Ok(Self(self.0.clone()))));
    }
}

impl Clone for FairGate {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl fmt::Debug for FairGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FairGate({})", self.0.name)
    }
}

impl fmt::Debug for GatePass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GatePass({})", self.0.0.name)
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

    #[test]
    fn unwanted_work_leaves_its_place() {
        let mut queue = queue(4, &["a1", "a2", "b1"]);
        queue.retain(|work| *work != "a1" && *work != "b1");
        assert_eq!((queue.len(), rest(&mut queue)), (1, vec!["a2"]));
    }

    #[tokio::test]
    async fn a_gate_lets_callers_pass_by_turns_and_forgets_those_that_left() {
        let gate = FairGate::new("gate", 1, 3);
        let first = gate.pass(caller("a1")).await.expect("a place is free");
        let waiting: Vec<_> = ["a1", "a1", "b1"]
            .into_iter()
            .map(|name| {
                let gate = gate.clone();
                tokio::spawn(async move { gate.pass(caller(name)).await })
            })
            .collect();
        while gate.waiting() < 3 {
            tokio::task::yield_now().await;
        }
        let over = gate.pass(caller("a1")).await;
        assert!(matches!(over, Err(AskError::OverShare("gate"))), "{over:?}");
        let [one, two, of_b] = <[_; 3]>::try_from(waiting).expect("three");
        one.abort();
        let _left = one.await;
        drop(first);
        // The caller that left had the first turn of its lane.
        drop(of_b.await.expect("no panic").expect("its turn"));
        drop(two.await.expect("no panic").expect("its turn"));
        assert!(gate.pass(caller("c1")).await.is_ok() && gate.waiting() == 0);
    }
}
