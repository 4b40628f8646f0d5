//! How many may listen at a time, in all and for one user.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::feed::FeedError;
use faceofmind_model::user::UserId;

/// The seats of this node. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Seats {
    most: usize,
    most_of_one: usize,
    taken: Arc<Mutex<HashMap<UserId, usize>>>,
}

/// A seat that is taken until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Seats,
    user: UserId,
}

impl Seats {
    pub(super) fn new(most: usize, most_of_one: usize) -> Self {
        Self { most, most_of_one, taken: Arc::default() }
    }

    pub(super) fn take(&self, user: UserId) -> Result<Seat, FeedError> {
        let mut taken = self.taken();
        if taken.get(&user).is_some_and(|own| *own >= self.most_of_one) {
            return Err(FeedError::TooMany);
        }
        if taken.values().sum::<usize>() >= self.most {
            return Err(FeedError::Full);
        }
        *taken.entry(user).or_default() += 1;
        Ok(Seat { seats: self.clone(), user })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<UserId, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        if let Some(own) = taken.get_mut(&self.user) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_free_again_when_its_holder_has_gone() {
        let seats = Seats::new(3, 2);
        let (ada, bob) = (UserId(1), UserId(2));
        let first = seats.take(ada).expect("a seat");
        let _second = seats.take(ada).expect("another");
        assert!(matches!(seats.take(ada), Err(FeedError::TooMany)), "one user may not take all");
        let _third = seats.take(bob).expect("one for others");
        assert!(matches!(seats.take(bob), Err(FeedError::Full)));
        drop(first);
        assert!(seats.take(bob).is_ok());
        assert_eq!(seats.taken().values().sum::<usize>(), 2);
    }
}
