//! Where a test may let the tracker die while it writes a batch. Without `test-hooks` there is nothing here.

/// How far a batch has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(any(test, feature = "test-hooks")), expect(unreachable_pub, reason = "only a test names one"))]
#[repr(u8)]
pub enum Step {
    /// Its sessions are locked; new ones are written, and nothing else.
    Locked = 1,
    /// Detections are written, and nothing yet of what belongs to them.
    Half,
    /// All is written but the events.
    Written,
    /// It is committed, and nobody has been answered.
    Committed,
}

#[cfg(not(any(test, feature = "test-hooks")))]
mod unset {
    #[derive(Clone)]
    pub(in super::super) struct Trap;

    impl Trap {
        pub(in super::super) fn new(_: &faceofmind_runtime::legacy::Address<super::super::Message>) -> Self {
            Self
        }

        pub(in super::super) fn over(&self, _: usize) -> Self {
            Self
        }

        pub(in super::super) fn step(&self, _: super::Step) {}
    }
}
#[cfg(not(any(test, feature = "test-hooks")))]
pub(super) use unset::Trap;

#[cfg(any(test, feature = "test-hooks"))]
mod set {
    use std::sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    };

    use faceofmind_runtime::legacy::Address;

    use super::{super::Message, Step};

    /// Lies in wait at one step at most.
    #[derive(Clone, Debug)]
    pub(in super::super) struct Trap {
        lies_at: Arc<AtomicU8>,
        least: Arc<AtomicUsize>,
        changes: usize,
        address: Address<Message>,
    }

    impl Trap {
        pub(in super::super) fn new(address: &Address<Message>) -> Self {
            Self { lies_at: Arc::default(), least: Arc::default(), changes: 0, address: address.clone() }
        }

        pub(in super::super) fn set(&self, step: Step, least: usize) {
            self.least.store(least, Ordering::SeqCst);
            self.lies_at.store(step as u8, Ordering::SeqCst);
        }

        pub(in super::super) fn is_set(&self) -> bool {
            self.lies_at.load(Ordering::SeqCst) != 0
        }

        /// The same trap, over a batch of so many changes.
        pub(in super::super) fn over(&self, changes: usize) -> Self {
            Self { changes, ..self.clone() }
        }

        /// Panics where it was set, once, and the tracker with it.
        pub(in super::super) fn step(&self, step: Step) {
            let is_caught = self.changes >= self.least.load(Ordering::SeqCst)
                && self.lies_at.compare_exchange(step as u8, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok();
            if is_caught {
                self.address.panic();
                panic!("a test asked for this panic in the middle of a batch");
            }
        }
    }
}
#[cfg(any(test, feature = "test-hooks"))]
pub(super) use set::Trap;
