//! How much may be open at a time, in all and for one caller. What finds no place is refused and does not wait.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{AskError, Caller, KeyCounts};

/// What is open at a time. Clones share it.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit {
    name: &'static str,
    max: usize,
    max_per_caller: usize,
    open: Arc<Mutex<KeyCounts<Caller>>>,
}

/// A place of a caller. Dropping it makes it free.
#[derive(Debug)]
pub struct ConcurrencyPermit {
    limit: ConcurrencyLimit,
    caller: Caller,
}

impl ConcurrencyLimit {
    /// Returns a limit of `max` places in all and `max_per_caller` for each caller.
    pub fn new(name: &'static str, max: usize, max_per_caller: usize) -> Self {
        Self { name, max, max_per_caller, open: Arc::default() }
    }

    /// Takes a place.
    ///
    /// # Errors
    /// [`AskError::OverShare`] when the caller has as many as it may, [`AskError::Busy`] when no place is free.
    pub fn acquire(&self, caller: Caller) -> Result<ConcurrencyPermit, AskError> {
        let mut open = self.open();
        if open.of(&caller) >= self.max_per_caller {
            return Err(AskError::OverShare(self.name));
        }
        if open.total() >= self.max {
            return Err(AskError::Busy(self.name));
        }
        open.add(caller.clone());
        Ok(ConcurrencyPermit { limit: self.clone(), caller })
    }

    /// The number of places that are taken.
    pub fn taken(&self) -> usize {
        self.open().total()
    }

    fn open(&self) -> MutexGuard<'_, KeyCounts<Caller>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConcurrencyPermit {
    fn drop(&mut self) {
        self.limit.open().remove(&self.caller);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_free_again_is_for_anybody() {
        let limit = ConcurrencyLimit::new("places", 3, 2);
        let [ada, bob] = ["ada", "bob"].map(Caller::alone);
        let first = limit.acquire(ada.clone()).expect("the first place");
        let _second = limit.acquire(ada.clone()).expect("the second");
        assert_eq!(limit.acquire(ada).err(), Some(AskError::OverShare("places")), "one caller may not have all");
        let _third = limit.acquire(bob.clone()).expect("one of another caller");
        assert_eq!(limit.acquire(bob.clone()).err(), Some(AskError::Busy("places")));
        drop(first);
        assert!(limit.acquire(bob).is_ok());
        assert_eq!(limit.taken(), 2);
    }
}
