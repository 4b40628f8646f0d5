//! A bounded queue that is fair between callers.
//!
//! *Guarantees*: callers are served by turns, so the work of one waits for at most one piece of each other caller, however much any of them has
//! queued. Work may weigh more than one: it then waits for as many turns of its caller and takes as many places, so that callers share the time
//! of a worker and not the number of its tasks. A lone caller may use the whole queue. When the queue is full, the newest work of the caller with most waiting gives way to a
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

/// Work of several callers, at most `capacity` in all by weight.
#[derive(Debug)]
pub struct FairQueue<W> {
    groups: Rota<Rota<Lane<W>>>,
    capacity: usize,
    weight: usize,
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
        Self { groups: Rota::default(), capacity, weight: 0 }
    }

    /// Adds work behind that of the same caller. Returns what found no place: the newest work of the caller with most waiting, which may be this.
    pub fn push(&mut self, caller: Caller, work: W) -> Option<Displaced<W>> {
        self.push_weighted(caller, 1, work).pop()
    }

    /// Adds work that takes the time of `weight` others. The capacity bounds the weight of each, so that an empty queue has a place for any.
    pub fn push_weighted(&mut self, caller: Caller, weight: usize, work: W) -> Vec<Displaced<W>> {
        let Caller { group, key } = caller;
        let weight = weight.clamp(1, self.capacity.max(1));
        self.groups.change(&group, |callers| callers.change(&key, |lane| lane.works.push_back((weight, work))));
        self.weight = self.weight.saturating_add(weight);
        let mut displaced = Vec::new();
        while self.weight > self.capacity {
            let Some(found) = self.displace(&group, &key) else { break };
            displaced.push(found);
        }
        displaced
    }

    /// Takes the next work, and gives the next turn to another caller.
    pub fn pop(&mut self) -> Option<W> {
        self.pop_wanted(|_| true, drop)
    }

    /// Takes the next work that is wanted. What stands before it and is not goes to `leave`, and uses up no turn of its caller.
    pub fn pop_wanted(&mut self, is_wanted: impl Fn(&W) -> bool, mut leave: impl FnMut(W)) -> Option<W> {
        while !self.is_empty() {
            let mut freed = 0;
            let wanted = self.groups.next_turn(|callers| {
                callers.next_turn(|lane| {
                    while lane.works.front().is_some_and(|(_, work)| !is_wanted(work)) {
                        let (weight, work) = lane.works.pop_front()?;
                        freed += weight;
                        leave(work);
                    }
                    lane.take_turn()
                })
            });
            let wanted = wanted.flatten().flatten();
            self.weight -= freed + wanted.as_ref().map_or(0, |(weight, _)| *weight);
            if let Some((_, work)) = wanted {
                return Some(work);
            }
        }
        None
    }

    /// Takes the next work of a caller that may have it, whatever it weighs, and returns both. The others keep their turns; their number counts
    /// in what this costs.
    pub fn pop_of(&mut self, is_ready: impl Fn(&Caller) -> bool) -> Option<(Caller, W)> {
        let caller = self.callers().find(is_ready)?;
        let work = self
            .groups
            .take_turn(&caller.group, |callers| callers.take_turn(&caller.key, |lane| lane.works.pop_front()));
        let (weight, work) = work.flatten().flatten()?;
        self.weight -= weight;
        Some((caller, work))
    }

    /// Whether a caller of this kind waits.
    pub fn any_of(&self, is_meant: impl Fn(&Caller) -> bool) -> bool {
        self.callers().any(|caller| is_meant(&caller))
    }

    /// Those that wait, by turn.
    fn callers(&self) -> impl Iterator<Item = Caller> {
        self.groups.by_turn().flat_map(|(group, callers)| {
            callers.by_turn().map(|(key, _)| Caller { group: Arc::clone(group), key: Arc::clone(key) })
        })
    }

    /// Drops the work that is no longer wanted.
    pub fn retain(&mut self, is_wanted: impl Fn(&W) -> bool) {
        let mut freed = 0;
        self.groups.change_all(|callers| {
            callers.change_all(|lane| {
                lane.works.retain(|(weight, work)| {
                    let is_kept = is_wanted(work);
                    freed += if is_kept { 0 } else { *weight };
                    is_kept
                });
            });
        });
        self.weight -= freed;
    }

    /// The number of pieces of work that wait.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// The most that may wait, by weight.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether no place is left.
    pub fn is_full(&self) -> bool {
        !self.has_places_for(1)
    }

    /// Whether work of this weight displaces nothing.
    pub fn has_places_for(&self, weight: usize) -> bool {
        self.weight.saturating_add(weight) <= self.capacity
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the newest work of the largest caller of the largest group; among equals, that of this caller.
    fn displace(&mut self, group: &Arc<str>, key: &Arc<str>) -> Option<Displaced<W>> {
        let largest_group = self.groups.largest(group)?;
        let (weight, displaced) = self.groups.change(&largest_group, |callers| {
            let is_over_share = callers.len() > 1;
            let (weight, work) = callers.change(&callers.largest(key)?, |lane| lane.works.pop_back())?;
            Some((weight, Displaced { work, is_over_share }))
        })?;
        self.weight -= weight;
        Some(displaced)
    }
}

/// What has a number of pieces of work.
trait Work: Default {
    fn len(&self) -> usize;
}

/// The work of one caller, with its weights.
#[derive(Debug)]
struct Lane<W> {
    works: VecDeque<(usize, W)>,
    /// The turns that the first work has waited for.
    turns: usize,
}

impl<W> Default for Lane<W> {
    fn default() -> Self {
        Self { works: VecDeque::new(), turns: 0 }
    }
}

impl<W> Lane<W> {
    /// Takes the first work once it has had as many turns as it weighs (deficit round robin: Shreedhar and Varghese, SIGCOMM 1995).
    fn take_turn(&mut self) -> Option<(usize, W)> {
        self.turns += 1;
        let (weight, _) = self.works.front()?;
        if self.turns < *weight {
            return None;
        }
        self.turns = 0;
        self.works.pop_front()
    }
}

impl<W> Work for Lane<W> {
    fn len(&self) -> usize {
        self.works.len()
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
mod tests;
