//! How many feeds may be open at a time, in all and for one user.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use faceofmind_model::UserId;

use super::feed::FeedError;

/// The open feeds of this node. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct FeedLimiter {
    max_feeds: usize,
    max_feeds_per_user: usize,
    open: Arc<Mutex<HashMap<UserId, usize>>>,
}

/// Counts one open feed until it is dropped.
#[derive(Debug)]
pub(super) struct FeedPermit {
    limiter: FeedLimiter,
    user: UserId,
}

impl FeedLimiter {
    pub(super) fn new(max_feeds: usize, max_feeds_per_user: usize) -> Self {
        Self { max_feeds, max_feeds_per_user, open: Arc::default() }
    }

    pub(super) fn acquire(&self, user: UserId) -> Result<FeedPermit, FeedError> {
        let mut open = self.open();
        if open.get(&user).is_some_and(|own| *own >= self.max_feeds_per_user) {
            return Err(FeedError::UserLimit);
        }
        if open.values().sum::<usize>() >= self.max_feeds {
            return Err(FeedError::NodeLimit);
        }
        *open.entry(user).or_default() += 1;
        Ok(FeedPermit { limiter: self.clone(), user })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<UserId, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FeedPermit {
    fn drop(&mut self) {
        let mut open = self.limiter.open();
        if let Some(own) = open.get_mut(&self.user) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_feed_makes_space_for_another() {
        let limiter = FeedLimiter::new(3, 2);
        let (ada, bob) = (UserId(1), UserId(2));
        let first = limiter.acquire(ada).expect("the first feed");
        let _second = limiter.acquire(ada).expect("the second");
        assert!(matches!(limiter.acquire(ada), Err(FeedError::UserLimit)), "one user may not have all");
        let _third = limiter.acquire(bob).expect("one of another user");
        assert!(matches!(limiter.acquire(bob), Err(FeedError::NodeLimit)));
        drop(first);
        assert!(limiter.acquire(bob).is_ok());
        assert_eq!(limiter.open().values().sum::<usize>(), 2);
    }
}
