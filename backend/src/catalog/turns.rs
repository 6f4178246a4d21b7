//! How many threads hash at the same time: no more than the computer has processors, however many folders there are.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A handle; clones share the turns.
#[derive(Clone, Debug)]
pub(super) struct Turns(Arc<(Mutex<usize>, Condvar)>);

impl Turns {
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new((Mutex::new(most.max(1)), Condvar::new())))
    }

    /// Waits for a turn and does the work, which must not wait for anything itself: reading from a disk may hang, and
    /// would keep its turn.
    pub(super) fn take<T>(&self, work: impl FnOnce() -> T) -> T {
        let (free, given_back) = &*self.0;
        let lock = free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lock = given_back.wait_while(lock, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *lock -= 1;
        drop(lock);
        let done = work();
        *free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        given_back.notify_one();
        done
    }
}
