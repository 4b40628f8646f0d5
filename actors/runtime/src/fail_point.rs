//! Where a test makes work panic.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// Places in a piece of work, `S`, at one of which a test makes it panic, once. Clones share it. Only the feature `test-hooks` can arm it.
pub struct FailPoint<S>(Arc<Mutex<Option<Armed<S>>>>);

struct Armed<S> {
    site: S,
    min_size: usize,
    before_panic: Box<dyn FnOnce() + Send>,
}

impl<S: PartialEq> FailPoint<S> {
    /// Makes the work panic at `site`, when its size is `min_size` or more, after `before_panic`.
    #[cfg(feature = "test-hooks")]
    pub fn arm(&self, site: S, min_size: usize, before_panic: impl FnOnce() + Send + 'static) {
        let armed = Armed { site, min_size, before_panic: Box::new(before_panic) };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(armed);
    }

    /// Whether the panic is still to come.
    pub fn is_armed(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Called where the work, of this size, has come to `site`. Panics if a test asked for it.
    pub fn pass(&self, site: &S, size: usize) {
        let is_here = |armed: &mut Armed<S>| armed.site == *site && size >= armed.min_size;
        let armed = self.0.lock().unwrap_or_else(PoisonError::into_inner).take_if(is_here);
        if let Some(Armed { before_panic, .. }) = armed {
            before_panic();
            panic!("a test asked for this panic in the middle of work");
        }
    }
}

impl<S> Default for FailPoint<S> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<S> Clone for FailPoint<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for FailPoint<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FailPoint")
    }
}
