//! Locks on files, which tell other processes that a file or a directory is in use.
//!
//! The system drops a lock with the process that holds it, also after SIGKILL, so a lock never outlives its reason.
//! These locks are advisory: only programs that ask for the lock are kept out.

use std::fs::{File, TryLockError};
use std::io;
use std::ops::Deref;

/// A file that this process has locked, until this is dropped.
///
/// Dropping unlocks and does not rely on closing the file alone: a child process that another thread has just forked
/// holds a copy of the open file until it starts its program, and would keep the lock for that moment.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Waits until nobody else has the file locked.
    pub(crate) fn exclusive(file: File) -> io::Result<Self> {
        file.lock()?;
        Ok(Self(file))
    }

    /// Waits until nobody has the file locked exclusively.
    pub(crate) fn shared(file: File) -> io::Result<Self> {
        file.lock_shared()?;
        Ok(Self(file))
    }

    /// `None`: somebody else has the file locked.
    pub(crate) fn try_exclusive(file: File) -> io::Result<Option<Self>> {
        Ok(is_free(file.try_lock())?.then(|| Self(file)))
    }

    /// `None`: somebody else has the file locked exclusively.
    pub(crate) fn try_shared(file: File) -> io::Result<Option<Self>> {
        Ok(is_free(file.try_lock_shared())?.then(|| Self(file)))
    }

    /// Gives up a shared lock and takes an exclusive one. `false`: somebody else has the file locked now; this process
    /// then holds no lock any more.
    pub(crate) fn try_make_exclusive(&self) -> io::Result<bool> {
        // Converting a lock in place is not atomic on Linux either, and the standard library leaves it undefined.
        self.unlock()?;
        is_free(self.try_lock())
    }
}

fn is_free(locked: Result<(), TryLockError>) -> io::Result<bool> {
    match locked {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Deref for Lock {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_several_users_can_lock_exclusively() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let open = || File::options().create(true).append(true).open(&path).unwrap();
        let (first, second) = (Lock::shared(open()).unwrap(), Lock::try_shared(open()).unwrap().unwrap());
        assert!(Lock::try_exclusive(open()).unwrap().is_none());
        assert!(!first.try_make_exclusive().unwrap());
        assert!(second.try_make_exclusive().unwrap());
        assert!(Lock::try_shared(open()).unwrap().is_none());
        drop(second);
        assert!(Lock::try_exclusive(open()).unwrap().is_some());
    }

    #[test]
    fn a_dropped_lock_is_free_although_a_copy_of_the_file_stays_open() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let lock = Lock::exclusive(file.reopen().unwrap()).unwrap();
        let _copy = lock.try_clone().unwrap();
        drop(lock);
        assert!(Lock::try_exclusive(file.reopen().unwrap()).unwrap().is_some());
    }
}
