//! Whether a file is still the one that was read, as far as the system tells without reading it again.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use nix::fcntl::OFlag;
use rustix::fs::{Statx, StatxTimestamp, makedev};
use serde::{Deserialize, Serialize};

/// Two equal identities mean the same bytes: whoever changes a file changes at least one of these. Programs can set the
/// time of the last write back (`touch -r`, `cp -p`), but not the time of the last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileIdentity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// In bytes.
    pub(crate) size: u64,
    /// When its bytes were last written (mtime).
    pub(crate) written: Time,
    /// When anything about it was last changed (ctime): its bytes, its times, its names, its permissions.
    pub(crate) changed: Time,
}

/// Seconds and nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Time {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: i64,
}

impl Time {
    /// How long ago it was. `None`: it lies in the future, as the clock of another computer may say.
    pub(crate) fn age(self, now: SystemTime) -> Option<Duration> {
        let (seconds, nanoseconds) = (u64::try_from(self.seconds).ok()?, u64::try_from(self.nanoseconds).ok()?);
        let since_epoch = Duration::from_secs(seconds).checked_add(Duration::from_nanos(nanoseconds))?;
        now.duration_since(SystemTime::UNIX_EPOCH.checked_add(since_epoch)?).ok()
    }
}

impl FileIdentity {
    pub(crate) fn of(file: &Metadata) -> Self {
        let time = |seconds, nanoseconds| Time { seconds, nanoseconds };
        Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            written: time(file.mtime(), file.mtime_nsec()),
            changed: time(file.ctime(), file.ctime_nsec()),
        }
    }

    /// The same, where the number of the device says nothing: it may be another one after each start of the computer.
    pub(crate) fn is_same_but_for_device(&self, other: &Self) -> bool {
        Self { device: other.device, ..*self } == *other
    }

    /// The same, as another call of the system tells it.
    pub(crate) fn of_statx(file: &Statx) -> Self {
        let time = |time: StatxTimestamp| Time { seconds: time.tv_sec, nanoseconds: time.tv_nsec.into() };
        Self {
            device: makedev(file.stx_dev_major, file.stx_dev_minor),
            inode: file.stx_ino,
            size: file.stx_size,
            written: time(file.stx_mtime),
            changed: time(file.stx_ctime),
        }
    }

    /// The same file with the same size, whatever its times are.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode, self.size) == (other.device, other.inode, other.size)
    }
}

/// Opens a file for reading. Anything else is refused, and nothing is waited for: opening a pipe without a writer would
/// wait for one.
pub(crate) fn open_regular(path: &Path) -> io::Result<(File, FileIdentity)> {
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let found = file.metadata()?;
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok((file, FileIdentity::of(&found)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_that_was_written_over_is_another_one_even_when_its_times_are_set_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "one").unwrap();
        let (file, first) = open_regular(&path).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        assert_eq!(open_regular(&path).unwrap().1, first);

        // The system counts the time of changes in steps of some milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(&path, "two").unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        let second = open_regular(&path).unwrap().1;
        assert_eq!((second.inode, second.size, second.written), (first.inode, first.size, first.written));
        assert_ne!(second, first);
        assert!(second.is_same_file(&first));

        fs::rename(&path, folder.path().join("b")).unwrap();
        fs::write(&path, "two").unwrap();
        assert!(!open_regular(&path).unwrap().1.is_same_file(&first));
    }

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(open_regular(&pipe).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(open_regular(folder.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert_eq!(open_regular(Path::new("/dev/zero")).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
