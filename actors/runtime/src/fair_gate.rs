//! A gate limits how many callers use a resource at a time.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::oneshot, time::timeout};

use crate::{AskError, Caller, FairQueue, KeyCounts, MAX_QUEUED};

/// Lets up to a number of callers pass at a time. The others wait by turns. Clones share it.
pub struct FairGate(Arc<Gate>);

struct Gate {
    name: &'static str,
    places: usize,
    state: Mutex<GateState>,
}

struct GateState {
    free: usize,
    share: Share,
    /// Callers that came to a full queue since those that had left it were last looked for.
    came_when_full: usize,
    waiting: FairQueue<Waiting>,
}

type Waiting = oneshot::Sender<Result<GatePass, AskError>>;

/// The most places of one caller. `None`: a caller may have all, and none is counted.
struct Share(Option<(usize, KeyCounts<Caller>)>);

impl Share {
    fn is_left(&self, caller: &Caller) -> bool {
        self.0.as_ref().is_none_or(|(max, taken)| taken.of(caller) < *max)
    }

    fn take(&mut self, caller: &Caller) {
        if let Some((_, taken)) = &mut self.0 {
            taken.add(caller.clone());
        }
    }

    fn give_back(&mut self, caller: &Caller) {
        if let Some((_, taken)) = &mut self.0 {
            taken.remove(caller);
        }
    }
}

impl GateState {
    /// Takes a place for the caller, if one is free and it has fewer than its share.
    fn take(&mut self, caller: &Caller) -> bool {
        let may_pass = self.free > 0 && self.share.is_left(caller);
        if may_pass {
            self.free -= 1;
            self.share.take(caller);
        }
        may_pass
    }

    fn give_back(&mut self, caller: Option<&Caller>) {
        self.free += 1;
        if let Some(caller) = caller {
            self.share.give_back(caller);
        }
    }

    /// Takes a place for the caller whose turn it is, of those that wait and have fewer than their share.
    fn take_next(&mut self) -> Option<(Caller, Waiting)> {
        loop {
            let (caller, next) = self.waiting.pop_of(|caller| self.share.is_left(caller))?;
            if !next.is_closed() && self.take(&caller) {
                return Some((caller, next));
            }
        }
    }

    /// Drops callers that wait no longer, if the queue is full. That looks at all of them, so it is done once for many arrivals.
    fn forget_gone(&mut self) {
        if !self.waiting.is_full() {
            return;
        }
        if self.came_when_full == 0 {
            self.waiting.retain(|waiting| !waiting.is_closed());
        }
        self.came_when_full = (self.came_when_full + 1) % self.waiting.capacity().div_ceil(16).max(1);
    }
}

/// A place behind a [`FairGate`]. Dropping it lets the next caller pass.
pub struct GatePass {
    gate: FairGate,
    /// `None` where [`FairGate::try_pass`] took it, which counts for no share.
    caller: Option<Caller>,
}

impl FairGate {
    /// Returns a gate with `places`, before which at most `capacity` callers wait.
    pub fn new(name: &'static str, places: usize, capacity: usize) -> Self {
        Self::with(name, places, Share(None), capacity)
    }

    /// Returns a gate that gives no caller more than `share` of its `places` at a time, although others are free.
    pub fn with_share(name: &'static str, places: usize, share: usize, capacity: usize) -> Self {
        Self::with(name, places, Share(Some((share, KeyCounts::default()))), capacity)
    }

    fn with(name: &'static str, places: usize, share: Share, capacity: usize) -> Self {
        let state = GateState { free: places, share, came_when_full: 0, waiting: FairQueue::new(capacity) };
        Self(Arc::new(Gate { name, places, state: Mutex::new(state) }))
    }

    /// Takes a place if one is free, whatever the share of its caller.
    pub fn try_pass(&self) -> Option<GatePass> {
        let mut state = self.state();
        state.free = state.free.checked_sub(1)?;
        Some(GatePass { gate: self.clone(), caller: None })
    }

    /// Waits for a place. A caller that stops waiting loses its turn to the next.
    ///
    /// # Errors
    /// [`AskError::OverShare`] and [`AskError::Busy`] when no place to wait is left.
    pub async fn pass(&self, caller: Caller) -> Result<GatePass, AskError> {
        let name = self.0.name;
        let passed = {
            let mut state = self.state();
            if state.take(&caller) {
                return Ok(self.pass_of(caller));
            }
            let (sender, passed) = oneshot::channel();
            state.forget_gone();
            if let Some(displaced) = state.waiting.push(caller, sender) {
                let error = displaced.error(name);
                drop(displaced.work.send(Err(error)));
            }
            passed
        };
        passed.await.unwrap_or(Err(AskError::Unavailable(name)))
    }

    fn pass_of(&self, caller: Caller) -> GatePass {
        GatePass { gate: self.clone(), caller: Some(caller) }
    }

    /// The same, for at most [`MAX_QUEUED`].
    ///
    /// # Errors
    /// As [`pass`](Self::pass), and [`AskError::TimedOut`].
    pub async fn pass_soon(&self, caller: Caller) -> Result<GatePass, AskError> {
        timeout(MAX_QUEUED, self.pass(caller)).await.unwrap_or(Err(AskError::TimedOut(self.0.name)))
    }

    /// Whether the caller has its share of the places.
    pub fn has_given_share_to(&self, caller: &Caller) -> bool {
        !self.state().share.is_left(caller)
    }

    /// Whether a caller waits that lacks nothing but a free place.
    pub fn is_full_for_others(&self) -> bool {
        let state = self.state();
        state.free == 0 && state.waiting.any_of(|caller| state.share.is_left(caller))
    }

    /// The number of places that are taken.
    pub fn taken(&self) -> usize {
        self.0.places - self.state().free
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
            let mut state = self.gate.state();
            state.give_back(self.caller.as_ref());
            state.take_next()
        };
        // Outside of the lock: a caller that stopped waiting just now drops this pass, which locks again.
        if let Some((caller, next)) = next {
            drop(next.send(Ok(self.gate.pass_of(caller))));
        }
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
        write!(f, "GatePass({})", self.gate.0.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str) -> Caller {
        Caller::alone(name)
    }

    #[tokio::test]
    async fn a_caller_gets_its_share_and_leaves_other_places_free() {
        let gate = FairGate::with_share("gate", 3, 1, 4);
        let first = gate.pass(caller("a")).await.expect("its share");
        let mut second = std::pin::pin!(gate.pass(caller("a")));
        assert!(futures_util::poll!(&mut second).is_pending(), "two places are free, and it has its share");
        assert!(gate.has_given_share_to(&caller("a")) && !gate.has_given_share_to(&caller("b")));
        let of_b = gate.pass(caller("b")).await.expect("a place is free");
        assert_eq!(gate.taken(), 2);
        drop(of_b);
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(first);
        let second = second.await.expect("its turn");
        let (_b, _c) = (gate.pass(caller("b")).await.expect("free"), gate.pass(caller("c")).await.expect("free"));
        let mut third = std::pin::pin!(gate.pass(caller("a")));
        assert!(futures_util::poll!(&mut third).is_pending() && !gate.is_full_for_others(), "it waits for itself");
        let mut of_d = Box::pin(gate.pass(caller("d")));
        assert!(futures_util::poll!(&mut of_d).is_pending() && gate.is_full_for_others());
        drop(of_d);
        drop(second);
        drop(third.await.expect("its turn"));
        assert_eq!(gate.taken(), 2);
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
