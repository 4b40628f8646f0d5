//! Where a test can make the tracker panic while it writes a batch. Without `test-hooks` nothing can be armed.

/// How far a batch has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(any(test, feature = "test-hooks")), expect(unreachable_pub, reason = "only tests name a site"))]
pub enum FailPointSite {
    /// New sessions are inserted and the other sessions are locked.
    Locked,
    /// Detections are inserted without the rows that belong to them.
    DetectionsInserted,
    /// Everything is written except the events.
    Written,
    /// The transaction is committed, and no caller has a reply.
    Committed,
}

#[cfg(not(any(test, feature = "test-hooks")))]
mod disabled {
    use faceofmind_runtime::Handle;

    use super::{super::SessionTracker, FailPointSite};

    #[derive(Clone)]
    pub(in super::super) struct FailPoint;

    impl FailPoint {
        pub(in super::super) fn new(_: &Handle<SessionTracker>) -> Self {
            Self
        }

        pub(in super::super) fn pass(&self, _: FailPointSite, _: usize) {}
    }
}
#[cfg(not(any(test, feature = "test-hooks")))]
pub(super) use disabled::FailPoint;

#[cfg(any(test, feature = "test-hooks"))]
mod enabled {
    use std::sync::{Arc, Mutex, PoisonError};

    use faceofmind_runtime::{AskError, Handle, Message};

    use super::{super::SessionTracker, FailPointSite};

    /// Makes the tracker panic once, at `site`, in a batch of at least `min_commands` commands.
    #[derive(Debug)]
    pub struct ArmFailPoint {
        pub site: FailPointSite,
        pub min_commands: usize,
    }

    impl Message for ArmFailPoint {
        type Output = FailPoint;
        type Error = AskError;
    }

    /// The tracker's fail point. It outlives the actor.
    #[derive(Clone, Debug)]
    pub struct FailPoint {
        armed: Arc<Mutex<Option<ArmFailPoint>>>,
        handle: Handle<SessionTracker>,
    }

    impl FailPoint {
        pub(in super::super) fn new(handle: &Handle<SessionTracker>) -> Self {
            Self { armed: Arc::default(), handle: handle.clone() }
        }

        pub(in super::super) fn arm(&self, at: ArmFailPoint) {
            *self.armed.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
        }

        /// Whether the panic is still to come.
        pub fn is_armed(&self) -> bool {
            self.armed.lock().unwrap_or_else(PoisonError::into_inner).is_some()
        }

        /// Panics if armed here, and makes the actor panic too.
        pub(in super::super) fn pass(&self, site: FailPointSite, commands: usize) {
            let is_here = |at: &mut ArmFailPoint| at.site == site && commands >= at.min_commands;
            let hit = self.armed.lock().unwrap_or_else(PoisonError::into_inner).take_if(is_here).is_some();
            if hit {
                self.handle.panic();
                panic!("a test asked for this panic in the middle of a batch");
            }
        }
    }
}
#[cfg(any(test, feature = "test-hooks"))]
pub use enabled::{ArmFailPoint, FailPoint};
