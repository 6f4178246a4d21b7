//! A download under way: `partial/{key}/` with the bytes, a lock, and what the server said about its version.
//!
//! The lock is an advisory lock of the operating system, so it ends with its holder, also by SIGKILL. Whoever takes
//! it next goes on behind the bytes that are there at once, and hashes them meanwhile. The lock file is never removed
//! alone: the whole directory goes, while the lock is held, and a waiter that then locks a file without a name begins
//! again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Seek, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use pixelrts_shared::{Digest, Problem};
use sha2::{Digest as _, Sha256};

use super::{CacheError, Cached, Room, Store};
use crate::files::{Existing, Lock, write_atomically};
use crate::task;

/// So many pieces may wait to be hashed. Hashing is faster than most disks and networks.
const UNHASHED: usize = 4;
/// Bytes of an earlier process are read in pieces of this size to be hashed.
const READ: u64 = 256 << 10;

/// What the complete bytes must be.
#[derive(Clone, Copy, Debug)]
pub enum Promise {
    Digest(Digest),
    /// No digest was promised. The check gets the complete file and decides.
    Checked(fn(&Path) -> Result<(), Problem>),
}

/// The lock on one partial file, and the running hash of its bytes. Shared by reference, so that the thread that
/// writes and the task that asks for more can both hold it; the lock ends with the last of them.
#[derive(Debug)]
pub struct Partial {
    store: Store,
    key: Digest,
    folder: PathBuf,
    room: Mutex<Option<Room>>,
    written: Mutex<Written>,
    /// Bytes in the file. While some are being added, others may read them already.
    received: AtomicU64,
    /// It is only held, and never read.
    _lock: Lock,
}

#[derive(Debug)]
struct Written {
    file: File,
    hash: RunningHash,
    /// The directory no longer belongs to this process.
    discarded: bool,
}

/// The hash of the first bytes of a file.
#[derive(Debug, Default)]
struct RunningHash {
    hasher: Sha256,
    bytes: u64,
}

impl RunningHash {
    fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// Hashes what is missing before `until`, from the file.
    fn catch_up(&mut self, file: &File, until: u64) -> io::Result<()> {
        let missing = until.saturating_sub(self.bytes);
        let mut buffer = vec![0; usize::try_from(missing.min(READ)).unwrap_or_default()];
        while self.bytes < until {
            let wanted = usize::try_from(until - self.bytes).map_or(buffer.len(), |left| left.min(buffer.len()));
            match file.read_at(&mut buffer[..wanted], self.bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.add(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn digest(&self) -> Digest {
        Digest::new(self.hasher.clone().finalize().into())
    }
}

/// When no byte has arrived, nothing is kept for a resume. The lock is still held here.
impl Drop for Partial {
    fn drop(&mut self) {
        if self.received() == 0 && !self.written().discarded {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

impl Store {
    /// The size of all images together that the cache may have.
    #[must_use]
    pub fn max_size(&self) -> u64 {
        self.limits().map_or(u64::MAX, |limits| limits.max_size)
    }
}

impl Partial {
    pub(super) fn open(store: &Store, key: &Digest) -> Result<Self, CacheError> {
        let folder = &store.partial_folder(key);
        let failed = |error| CacheError::of(folder, error, 0);
        let lock = loop {
            fs::create_dir_all(folder).map_err(failed)?;
            let path = folder.join("lock");
            let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
            let lock = match open {
                Ok(lock) => lock,
                // The last holder has just finished and removed the directory.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(error)),
            };
            let lock = Lock::try_exclusive(lock).map_err(failed)?.ok_or(CacheError::Locked)?;
            let ours = lock.metadata().map_err(failed)?.ino();
            if fs::metadata(&path).is_ok_and(|named| named.ino() == ours) {
                break lock;
            }
        };
        forget_address(folder).map_err(failed)?;
        let data = folder.join("data");
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(data).map_err(failed)?;
        let received = file.seek(io::SeekFrom::End(0)).map_err(failed)?;
        let written = Mutex::new(Written { file, hash: RunningHash::default(), discarded: false });
        let received = AtomicU64::new(received);
        Ok(Self {
            store: store.clone(),
            key: *key,
            folder: folder.to_owned(),
            room: Mutex::default(),
            written,
            received,
            _lock: lock,
        })
    }

    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The number of bytes that have arrived.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Acquire)
    }

    /// The digest of the bytes that have arrived. Those of an earlier process are read for it, if nobody has done that.
    pub fn digest(&self) -> Result<Digest, CacheError> {
        let Written { file, hash, .. } = &mut *self.written();
        hash.catch_up(file, self.received()).map_err(|error| self.failed(error, 0))?;
        Ok(hash.digest())
    }

    /// The first bytes, at most `most`.
    pub fn first(&self, most: usize) -> Result<Vec<u8>, CacheError> {
        let mut first = Vec::new();
        let mut buffer = vec![0; most];
        while first.len() < most {
            match self.read_at(&mut buffer[..most - first.len()], first.len() as u64)? {
                0 => break,
                count => first.extend_from_slice(&buffer[..count]),
            }
        }
        Ok(first)
    }

    /// Reads some of the bytes that have arrived. It waits while others are being added.
    pub fn read_at(&self, buffer: &mut [u8], at: u64) -> Result<usize, CacheError> {
        self.written().file.read_at(buffer, at).map_err(|error| self.failed(error, 0))
    }

    /// What [`Partial::set_validator`] stored.
    #[must_use]
    pub fn validator(&self) -> Option<String> {
        fs::read_to_string(version(&self.folder)).ok()
    }

    /// Remembers of which version the bytes are, in the server's words. Without one they cannot be continued unless
    /// their digest is promised.
    pub fn set_validator(&self, validator: Option<&str>) -> Result<(), CacheError> {
        let path = version(&self.folder);
        let kept = match validator {
            Some(validator) => fs::write(path, validator),
            None => fs::remove_file(path),
        };
        match kept {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed(error, 0)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Makes room for the whole, which has `size` bytes, and keeps it until this is dropped.
    pub fn make_room(&self, size: u64) -> Result<(), CacheError> {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        // It would give back the new room, too.
        drop(room.take());
        *room = Some(self.store.make_room(&self.key, size)?);
        Ok(())
    }

    /// Adds pieces at the end until no more come. A second thread hashes what this one has written, after the bytes of
    /// an earlier process. `end` is the size of the whole where it is known, for the message when the disk is full.
    pub fn append_all(&self, pieces: impl IntoIterator<Item = Vec<Bytes>>, end: Option<u64>) -> Result<(), CacheError> {
        let Written { file, hash, .. } = &mut *self.written();
        let (file, before) = (&*file, self.received());
        let (to_hash, hashing) = sync_channel::<(u64, Vec<Bytes>)>(UNHASHED);
        // Meanwhile nothing waits for the thread that hashes: it reads what it has missed.
        let is_behind = AtomicBool::new(hash.bytes < before);
        let behind = &is_behind;
        task::scope(|threads| {
            let hashed = threads.spawn(move || {
                hash.catch_up(file, before)?;
                behind.store(false, Ordering::Release);
                for (at, piece) in hashing {
                    hash.catch_up(file, at)?;
                    piece.iter().for_each(|bytes| hash.add(bytes));
                }
                Ok(())
            });
            let mut written = Ok(());
            for piece in pieces {
                let length: u64 = piece.iter().map(|bytes| bytes.len() as u64).sum();
                let received = self.received();
                if let Err(error) = write_all(file, &piece) {
                    // Some of them may be written: back to what counts.
                    let mut file = file;
                    let _ = file.set_len(received).and_then(|()| file.seek(io::SeekFrom::End(0)).map(drop));
                    written = Err(self.failed(error, end.map_or(length, |end| end.saturating_sub(received))));
                    break;
                }
                self.received.store(received + length, Ordering::Release);
                if !is_behind.load(Ordering::Acquire) {
                    // It fails when that thread could not read what it has missed, which is said below.
                    let _ = to_hash.send((received, piece));
                }
            }
            drop(to_hash);
            let hashed = hashed.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            written.and(hashed.map_err(|error| self.failed(error, 0)))
        })
    }

    #[cfg(test)]
    pub(crate) fn append(&self, bytes: &[u8], end: u64) -> Result<(), CacheError> {
        self.append_all([vec![Bytes::copy_from_slice(bytes)]], Some(end))
    }

    /// Removes all bytes.
    pub fn restart(&self) -> Result<(), CacheError> {
        let Written { file, hash, .. } = &mut *self.written();
        file.set_len(0).and_then(|()| file.rewind()).map_err(|error| self.failed(error, 0))?;
        *hash = RunningHash::default();
        self.received.store(0, Ordering::Release);
        Ok(())
    }

    /// Moves the image into the store when it is what was promised, and removes its bytes otherwise.
    pub fn commit(&self, promise: Promise, source: Option<&str>) -> Result<Cached, CacheError> {
        let mut written = self.written();
        let size = self.received();
        let Written { file, hash, .. } = &mut *written;
        hash.catch_up(file, size).map_err(|error| self.failed(error, 0))?;
        let digest = hash.digest();
        let checked = match promise {
            Promise::Digest(expected) if expected != digest => Err(CacheError::Mismatch { expected, found: digest }),
            Promise::Digest(_) => Ok(()),
            Promise::Checked(check) => {
                check(&self.folder.join("data")).map_err(|p| CacheError::NotAnImage(Box::new(p)))
            }
        };
        if let Err(error) = checked {
            self.discard(&mut written)?;
            return Err(error);
        }
        let path = self.store.path(&digest);
        // Used now: its last byte may have come long ago. An fsync that fails may have lost pages for good: the bytes are
        // then thrown away, never synced again.
        let synced = written.file.set_modified(SystemTime::now()).and_then(|()| written.file.sync_all());
        if let Err(error) = synced {
            let failed = self.failed(error, size);
            self.discard(&mut written)?;
            return Err(failed);
        }
        fs::create_dir_all(&self.store.images).map_err(|error| self.failed(error, size))?;
        if !self.is_named(&written.file) {
            // Somebody has removed the folder of the download. All bytes are still here, by their descriptor.
            written.discarded = true;
            let mut from = &written.file;
            from.rewind()
                .and_then(|()| write_atomically(&path, Existing::Replace, |file| io::copy(&mut from, file).map(drop)))
                .map_err(|error| self.failed(error, size))?;
        } else {
            // What cannot get its name now, as on a full disk, keeps its bytes.
            fs::rename(self.folder.join("data"), &path).map_err(|error| self.failed(error, size))?;
            if let Err(error) = File::open(&self.store.images).and_then(|folder| folder.sync_all()) {
                let failed = self.failed(error, size);
                let _ = fs::remove_file(&path);
                self.discard(&mut written)?;
                return Err(failed);
            }
            self.discard(&mut written)?;
        }
        self.store.indexed(&digest, source);
        self.store.keep_within_limits();
        Ok(Cached { digest, path, size })
    }

    /// Removes the directory with all that is in it. The lock file has no name from then on.
    fn discard(&self, written: &mut Written) -> Result<(), CacheError> {
        written.discarded = true;
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed(error, 0)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Whether the bytes are still the file of this name.
    fn is_named(&self, file: &File) -> bool {
        let named = fs::metadata(self.folder.join("data"));
        named
            .is_ok_and(|named| file.metadata().is_ok_and(|ours| ours.ino() == named.ino() && ours.dev() == named.dev()))
    }

    /// Removes the bytes and everything else that is kept for this download, which cannot be continued.
    pub fn give_up(&self) -> Result<(), CacheError> {
        self.discard(&mut self.written())
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        // A panic between the two lines that write and hash would leave a wrong hash, which the commit then refuses.
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: io::Error, needed: u64) -> CacheError {
        CacheError::of(&self.folder, error, needed)
    }
}

/// What the server says about the version of the bytes. Their address is kept nowhere: it may hold secrets, and a hash
/// of it, the key, is enough to find them again.
fn version(folder: &Path) -> PathBuf {
    folder.join("version")
}

/// Earlier versions of this program wrote the address before the validator.
fn forget_address(folder: &Path) -> io::Result<()> {
    let Ok(text) = fs::read_to_string(version(folder)) else { return Ok(()) };
    match text.split_once('\n') {
        Some((_address, validator)) => fs::write(version(folder), validator.trim_end()),
        None => Ok(()),
    }
}

fn write_all(mut file: &File, piece: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<_> = piece.iter().map(|bytes| IoSlice::new(bytes)).collect();
    let mut rest = &mut slices[..];
    // Removes slices without bytes.
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut rest, count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
