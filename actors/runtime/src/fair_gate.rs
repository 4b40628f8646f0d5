//! A gate limits how many callers use a resource at a time.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::oneshot, time::timeout};

use crate::{AskError, Caller, FairQueue, MAX_QUEUED};

/// Lets up to a number of callers pass at a time. The others wait by turns. Clones share it.
pub struct FairGate(Arc<Gate>);

struct Gate {
    name: &'static str,
    state: Mutex<GateState>,
}

struct GateState {
    free: usize,
    /// Callers that came to a full queue since those that had left it were last looked for.
    came_when_full: usize,
    waiting: FairQueue<oneshot::Sender<Result<GatePass, AskError>>>,
}

impl GateState {
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
pub struct GatePass(FairGate);

impl FairGate {
    /// Returns a gate with `places`, before which at most `capacity` callers wait.
    pub fn new(name: &'static str, places: usize, capacity: usize) -> Self {
        let state = GateState { free: places, came_when_full: 0, waiting: FairQueue::new(capacity) };
        Self(Arc::new(Gate { name, state: Mutex::new(state) }))
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
            state.forget_gone();
            if let Some(displaced) = state.waiting.push(caller, sender) {
                let error = displaced.error(name);
                drop(displaced.work.send(Err(error)));
            }
            passed
        };
        passed.await.unwrap_or(Err(AskError::Unavailable(name)))
    }

    /// The same, for at most [`MAX_QUEUED`].
    ///
    /// # Errors
    /// As [`pass`](Self::pass), and [`AskError::TimedOut`].
    pub async fn pass_soon(&self, caller: Caller) -> Result<GatePass, AskError> {
        timeout(MAX_QUEUED, self.pass(caller)).await.unwrap_or(Err(AskError::TimedOut(self.0.name)))
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

    fn caller(name: &str) -> Caller {
        Caller::alone(name)
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
