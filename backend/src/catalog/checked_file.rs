//! An image file that is open: what was checked and what is used are one descriptor.
//!
//! A path may lead to other bytes at any moment. So a file is opened once, compared with what it was when it was hashed,
//! and then only the descriptor is used. Whoever sends its bytes reads them with [`CheckedFile::read`] or
//! [`CheckedFile::pieces`], which notice when somebody writes into the file meanwhile.

mod buffers;
mod in_use;
mod pieces;

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pixelrts_shared::{Digest, Problem};
use rustix::fs::{AtFlags, Statx, StatxFlags, statx};
use rustix::io::{ReadWriteFlags, preadv2};

use super::error::CatalogError;
use crate::blob::FileBlob;
use crate::cache::Cached;
use crate::files::{FileIdentity, open_regular};
use crate::task::blocking;

pub use in_use::FilesInUse;

/// An image file that is open, and whose bytes have this digest. Clones share the descriptor.
#[derive(Clone, Debug)]
pub struct CheckedFile(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    file: File,
    path: PathBuf,
    digest: Digest,
    /// What it was when it was opened.
    identity: FileIdentity,
    writers: Writers,
}

/// Who may write into a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writers {
    Anybody,
    /// Files of the cache are never written again; only their times change, with each use.
    Nobody,
}

impl CheckedFile {
    /// Opens a file that had this digest when it was `hashed`. `None`: it is another one by now.
    pub(super) fn of_folder(path: &Path, digest: Digest, hashed: &FileIdentity) -> io::Result<Option<Self>> {
        let (file, identity) = open_regular(path)?;
        let opened = Opened { file, path: path.to_owned(), digest, identity, writers: Writers::Anybody };
        Ok((identity == *hashed).then(|| Self(Arc::new(opened))))
    }

    /// Opens a file of the cache, which was just found there.
    pub async fn of_cache(cached: Cached) -> Result<Self, Problem> {
        blocking(move || Self::open_cached(&cached)).await
    }

    pub(super) fn open_cached(cached: &Cached) -> Result<Self, Problem> {
        let failed = |error| CatalogError::Unreadable { path: cached.path.clone(), error };
        let (file, identity) = open_regular(&cached.path).map_err(failed)?;
        if identity.size != cached.size {
            let found = format!("it has {} bytes and should have {}", identity.size, cached.size);
            return Err(failed(io::Error::other(found)).into());
        }
        let Cached { path, digest, .. } = cached;
        Ok(Self(Arc::new(Opened { file, path: path.clone(), digest: *digest, identity, writers: Writers::Nobody })))
    }

    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.0.digest
    }

    /// Where it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// In bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.identity.size
    }

    /// The same descriptor, to read the image from.
    pub fn blob(&self) -> io::Result<FileBlob> {
        FileBlob::of(self.0.file.try_clone()?)
    }

    /// Bytes that belong to the digest: this fails when somebody has written into the file since it was checked.
    pub fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let length = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        self.0.read(range.start, &mut bytes)?;
        Ok(bytes)
    }
}

impl Opened {
    /// Fills a buffer with bytes that belong to the digest.
    fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, at)?;
        // Only afterwards is it known whether these were the bytes that had been checked.
        if self.is_unchanged()? { Ok(()) } else { Err(io::Error::other("another program has changed the file")) }
    }

    /// Reads the first bytes of a place, as many as are in memory, when the file is as it was checked. `None`: a thread
    /// that may wait has to find out.
    fn read_from_memory(&self, at: u64, into: &mut [u8]) -> Option<usize> {
        let into = &mut [IoSliceMut::new(into)];
        let count = preadv2(&self.file, into, at, ReadWriteFlags::NOWAIT).ok().filter(|count| *count > 0)?;
        self.is_known_unchanged().then_some(count)
    }

    fn is_known_unchanged(&self) -> bool {
        self.known().is_some_and(|known| self.was(&known))
    }

    /// It is as it was checked, and still has a name: nobody has removed it.
    fn is_still_there(&self) -> bool {
        self.known().is_some_and(|known| known.stx_nlink > 0 && self.was(&known))
    }

    /// What the system knows without waiting for a disk or a server: the bytes in memory belong to that.
    fn known(&self) -> Option<Statx> {
        statx(&self.file, "", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC, StatxFlags::BASIC_STATS).ok()
    }

    fn was(&self, known: &Statx) -> bool {
        let now = FileIdentity::of_statx(known);
        match self.writers {
            Writers::Anybody => now == self.identity,
            Writers::Nobody => now.is_same_file(&self.identity),
        }
    }

    fn is_unchanged(&self) -> io::Result<bool> {
        let found = self.file.metadata()?;
        let now = FileIdentity::of(&found);
        if now == self.identity {
            return Ok(true);
        }
        if !now.is_same_file(&self.identity) {
            return Ok(false);
        }
        if self.writers == Writers::Nobody {
            return Ok(true);
        }
        // Giving a file another name, or removing its name, changes it without changing its bytes. While it is still
        // there under its name, somebody may have written into it and set its times back.
        let is_there =
            std::fs::metadata(&self.path).is_ok_and(|there| (there.dev(), there.ino()) == (now.device, now.inode));
        Ok(now.written == self.identity.written && (found.nlink() == 0 || !is_there))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::{Duration, Instant};

    struct World {
        folder: tempfile::TempDir,
    }

    impl World {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap() }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("a.rts.png")
        }

        fn hashed(&self, bytes: &[u8]) -> FileIdentity {
            fs::write(self.path(), bytes).unwrap();
            open_regular(&self.path()).unwrap().1
        }

        fn open(&self, hashed: &FileIdentity) -> Option<CheckedFile> {
            CheckedFile::of_folder(&self.path(), Digest::new([7; 32]), hashed).unwrap()
        }
    }

    /// The system counts the time of changes in steps of some milliseconds.
    fn later() {
        std::thread::sleep(Duration::from_millis(20));
    }

    #[test]
    fn a_file_that_was_replaced_after_it_was_hashed_is_not_opened() {
        let world = World::new();
        let hashed = world.hashed(b"first");
        assert!(world.open(&hashed).is_some());
        later();
        let modified = fs::metadata(world.path()).unwrap().modified().unwrap();
        fs::write(world.path(), b"other").unwrap();
        File::options().write(true).open(world.path()).unwrap().set_modified(modified).unwrap();
        assert!(world.open(&hashed).is_none(), "size and time of writing are as before");
    }

    #[test]
    fn a_file_that_is_written_into_while_it_is_sent_gives_no_more_bytes() {
        let world = World::new();
        let hashed = world.hashed(b"first");
        let file = world.open(&hashed).unwrap();
        assert_eq!(file.read(1..4).unwrap(), b"irs");
        later();
        let modified = fs::metadata(world.path()).unwrap().modified().unwrap();
        fs::write(world.path(), b"other").unwrap();
        assert!(file.read(0..5).is_err());
        File::options().write(true).open(world.path()).unwrap().set_modified(modified).unwrap();
        assert!(file.read(0..5).is_err(), "its time was set back");
    }

    #[test]
    fn a_file_that_was_renamed_or_removed_still_gives_its_bytes() {
        let world = World::new();
        let hashed = world.hashed(b"first");
        let file = world.open(&hashed).unwrap();
        later();
        let moved = world.folder.path().join("b");
        fs::rename(world.path(), &moved).unwrap();
        assert_eq!(file.read(0..5).unwrap(), b"first");
        fs::write(world.path(), b"other").unwrap();
        assert_eq!(file.read(0..5).unwrap(), b"first");
        fs::remove_file(moved).unwrap();
        assert_eq!(file.read(0..5).unwrap(), b"first");
    }

    #[test]
    fn a_file_in_use_is_shared_until_it_changes() {
        let world = World::new();
        let hashed = world.hashed(b"first");
        let (file, in_use) = (world.open(&hashed).unwrap(), FilesInUse::default());
        assert!(in_use.get(file.digest()).is_none());
        in_use.add(&file);
        assert!(Arc::ptr_eq(&in_use.get(file.digest()).unwrap().0, &file.0));
        later();
        fs::write(world.path(), b"other").unwrap();
        assert!(in_use.get(file.digest()).is_none(), "another program has written into it");
    }

    #[test]
    fn a_file_stays_open_for_a_moment_unless_it_is_removed() {
        let world = World::new();
        let hashed = world.hashed(b"first");
        let (file, in_use) = (world.open(&hashed).unwrap(), FilesInUse::default());
        let digest = *file.digest();
        in_use.add(&file);
        drop(file);
        assert!(in_use.get(&digest).is_some());
        assert!(!in_use.close_those_before(Some(Instant::now())));
        assert!(in_use.get(&digest).is_none(), "nobody keeps it open");
        in_use.add(&world.open(&hashed).unwrap());
        fs::remove_file(world.path()).unwrap();
        assert!(in_use.get(&digest).is_none());
    }

    #[test]
    fn what_is_read_from_memory_is_what_was_checked() {
        let world = World::new();
        let hashed = world.hashed(b"first");
        let file = world.open(&hashed).unwrap();
        // A file system may not be able to do it; then nothing is read this way.
        let mut into = [0; 3];
        let read = file.0.read_from_memory(1, &mut into);
        assert!(read.is_none() || read == Some(3) && into == *b"irs", "{read:?} {into:?}");
        assert_eq!(file.0.read_from_memory(5, &mut into), None, "there is nothing behind the end");
        later();
        fs::write(world.path(), b"other").unwrap();
        assert_eq!(file.0.read_from_memory(1, &mut into), None);
    }
}
