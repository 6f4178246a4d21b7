//! Locks on files, which tell other processes that a file or a directory is in use.
//!
//! The system drops a lock with the process that holds it, also after SIGKILL, so a lock never outlives its reason.
//! These locks are advisory: only programs that ask for the lock are kept out.
//!
//! Some network file systems have no locks. There, a file in a folder of this computer is locked instead, which
//! [`stand_ins`] names once: the same file always has the same stand-in, so all processes of this computer agree.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::ops::Deref;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;

/// Where stand-ins are.
static STAND_INS: OnceLock<PathBuf> = OnceLock::new();

/// Sets, once, the folder for locks on files whose file system has none. It must be private to this user and on a file
/// system with locks.
pub(crate) fn stand_ins(folder: PathBuf) {
    let _ = STAND_INS.set(folder);
}

/// A file that this process has locked, until this is dropped.
///
/// Dropping unlocks and does not rely on closing the file alone: a child process that another thread has just forked
/// holds a copy of the open file until it starts its program, and would keep the lock for that moment.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    stand_in: Option<File>,
}

impl Lock {
    /// Waits until nobody else has the file locked.
    pub(crate) fn exclusive(file: File) -> io::Result<Self> {
        Self::wait(file, File::lock)
    }

    /// Waits until nobody has the file locked exclusively.
    pub(crate) fn shared(file: File) -> io::Result<Self> {
        Self::wait(file, File::lock_shared)
    }

    /// `None`: somebody else has the file locked.
    pub(crate) fn try_exclusive(file: File) -> io::Result<Option<Self>> {
        Self::take(file, File::try_lock)
    }

    /// `None`: somebody else has the file locked exclusively.
    pub(crate) fn try_shared(file: File) -> io::Result<Option<Self>> {
        Self::take(file, File::try_lock_shared)
    }

    /// Gives up a shared lock and takes an exclusive one. `false`: somebody else has the file locked now; this process
    /// then holds no lock any more.
    pub(crate) fn try_make_exclusive(&self) -> io::Result<bool> {
        // Converting a lock in place is not atomic on Linux either, and the standard library leaves it undefined.
        self.locked().unlock()?;
        is_free(self.locked().try_lock())
    }

    fn wait(file: File, lock: impl Fn(&File) -> io::Result<()>) -> io::Result<Self> {
        let tried = Self::take(file, |file| lock(file).map_err(TryLockError::Error))?;
        Ok(tried.expect("it was waited for"))
    }

    fn take(file: File, lock: impl Fn(&File) -> Result<(), TryLockError>) -> io::Result<Option<Self>> {
        let refused = match lock(&file) {
            Err(TryLockError::Error(error)) if is_without_locks(&error) => error,
            locked => return Ok(is_free(locked)?.then_some(Self { file, stand_in: None })),
        };
        let Some(stand_in) = stand_in(&file, &refused)? else { return Err(refused) };
        Ok(is_free(lock(&stand_in))?.then_some(Self { file, stand_in: Some(stand_in) }))
    }

    fn locked(&self) -> &File {
        self.stand_in.as_ref().unwrap_or(&self.file)
    }
}

fn is_free(locked: Result<(), TryLockError>) -> io::Result<bool> {
    match locked {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether the system refuses because the file system has no locks.
pub(crate) fn is_without_locks(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::ENOLCK | Errno::ENOSYS | Errno::EOPNOTSUPP))
}

/// The file that is locked instead of this one, by its identity. `None`: no folder was named for it.
fn stand_in(file: &File, refused: &io::Error) -> io::Result<Option<File>> {
    static WARNED: AtomicBool = AtomicBool::new(false);
    let Some(folder) = STAND_INS.get() else { return Ok(None) };
    if !WARNED.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            error = %refused,
            instead = %folder.display(),
            "a file system has no locks, so programs on other computers that use the same folders are not kept out"
        );
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let found = file.metadata()?;
    let path = folder.join(format!("{:x}-{:x}", found.dev(), found.ino()));
    File::options().create(true).truncate(false).read(true).write(true).open(path).map(Some)
}

impl Deref for Lock {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.locked().unlock();
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
