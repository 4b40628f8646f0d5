//! Whether a request's write has begun. It decides what a caller may be answered that stops waiting: "not done" or "the outcome is unknown".

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

const WAITING: u8 = 0;
const BEGUN: u8 = 1;
const WITHDRAWN: u8 = 2;

tokio::task_local! {
    static CURRENT: WriteGate;
}

/// Decides once, between a caller that gives up and the work that is about to write: the write begins, or the request is withdrawn and never
/// writes. Clones share the decision.
#[derive(Clone, Debug, Default)]
pub struct WriteGate(Arc<AtomicU8>);

impl WriteGate {
    /// Begins to write. Returns false when the request was withdrawn.
    pub fn begin(&self) -> bool {
        self.decide(BEGUN)
    }

    /// Withdraws the request. Returns false when its write has begun.
    pub fn withdraw(&self) -> bool {
        self.decide(WITHDRAWN)
    }

    /// Whether the write has begun.
    pub fn has_begun(&self) -> bool {
        self.0.load(Ordering::Acquire) == BEGUN
    }

    /// Whether the request was withdrawn.
    pub fn is_withdrawn(&self) -> bool {
        self.0.load(Ordering::Acquire) == WITHDRAWN
    }

    /// Runs `work` with this gate as the one of [`begin_write`].
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }

    fn decide(&self, decision: u8) -> bool {
        match self.0.compare_exchange(WAITING, decision, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(earlier) => earlier == decision,
        }
    }
}

/// Begins to write for the request whose work this task does. Returns false when that request was withdrawn, and true for a task that works
/// for no request.
pub fn begin_write() -> bool {
    CURRENT.try_with(WriteGate::begin).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_side_decides_and_may_repeat_itself() {
        let gate = WriteGate::default();
        assert!(gate.begin() && gate.begin() && !gate.withdraw() && gate.has_begun());
        let gate = WriteGate::default();
        assert!(gate.withdraw() && gate.withdraw() && !gate.begin() && !gate.has_begun());
    }

    #[tokio::test]
    async fn a_task_begins_for_its_request() {
        assert!(begin_write(), "it works for no request");
        let gate = WriteGate::default();
        assert!(gate.clone().scope(async { begin_write() }).await);
        assert!(gate.has_begun());
        let gate = WriteGate::default();
        assert!(gate.withdraw());
        assert!(!gate.scope(async { begin_write() }).await);
    }
}
