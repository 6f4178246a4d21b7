//! A download under way: `partial/{key}/` with the bytes, a lock, and what the server said about its version.
//!
//! The lock is an advisory lock of the operating system, so it ends with its holder, also by SIGKILL. Whoever takes
//! it next hashes the bytes that are there and goes on behind them. The lock file is never removed alone: the whole
//! directory goes, while the lock is held, and a waiter that then locks a file without a name begins again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use nix::sys::statvfs::statvfs;
use pixelrts_shared::{Digest, Problem};
use sha2::{Digest as _, Sha256};

use super::{CacheError, Cached, Store, hash_reader};
use crate::files::Lock;

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
    folder: PathBuf,
    written: Mutex<Written>,
    /// It is only held, and never read.
    _lock: Lock,
}

#[derive(Debug)]
struct Written {
    file: File,
    hasher: Sha256,
    received: u64,
    /// The directory no longer belongs to this process.
    discarded: bool,
}

/// When no byte has arrived, nothing is kept for a resume. The lock is still held here.
impl Drop for Partial {
    fn drop(&mut self) {
        let written = self.written();
        if written.received == 0 && !written.discarded {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

impl Partial {
    pub(super) fn open(store: &Store, folder: &Path) -> Result<Self, CacheError> {
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
        let data = folder.join("data");
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(data).map_err(failed)?;
        let (hasher, received) = hash_reader(&mut file).map_err(failed)?;
        let written = Mutex::new(Written { file, hasher, received, discarded: false });
        Ok(Self { store: store.clone(), folder: folder.to_owned(), written, _lock: lock })
    }

    /// The number of bytes that have arrived.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.written().received
    }

    /// The last version that [`Partial::set_version`] stored for `url`.
    #[must_use]
    pub fn version(&self, url: &str) -> Option<String> {
        let text = fs::read_to_string(self.folder.join("version")).ok()?;
        let (of, version) = text.split_once('\n')?;
        (of == url).then(|| version.to_owned())
    }

    /// Remembers the strong ETag under which the bytes of `url` came, for a resume.
    pub fn set_version(&self, url: &str, etag: &str) -> Result<(), CacheError> {
        fs::write(self.folder.join("version"), format!("{url}\n{etag}")).map_err(|error| self.failed(error, 0))
    }

    /// Fails early when there is no space for `more` bytes on the disk.
    pub fn reserve(&self, more: u64) -> Result<(), CacheError> {
        let Ok(disk) = statvfs(&self.folder) else { return Ok(()) };
        let free = disk.blocks_available() * disk.fragment_size();
        if free >= more { Ok(()) } else { Err(CacheError::Full { path: self.folder.clone(), needed: more - free }) }
    }

    /// Adds bytes at the end. `missing`: bytes still to come, these included, for the message when the disk is full.
    pub fn append(&self, bytes: &[u8], missing: u64) -> Result<(), CacheError> {
        let Written { file, hasher, received, .. } = &mut *self.written();
        if let Err(error) = file.write_all(bytes) {
            // Some of them may be written: back to what the hash has seen.
            let _ = file.set_len(*received).and_then(|()| file.seek(io::SeekFrom::End(0)).map(drop));
            return Err(self.failed(error, missing));
        }
        hasher.update(bytes);
        *received += bytes.len() as u64;
        Ok(())
    }

    /// Removes all bytes.
    pub fn restart(&self) -> Result<(), CacheError> {
        let Written { file, hasher, received, .. } = &mut *self.written();
        file.set_len(0).and_then(|()| file.rewind()).map_err(|error| self.failed(error, 0))?;
        *hasher = Sha256::new();
        *received = 0;
        Ok(())
    }

    /// Moves the image into the store when it is what was promised, and removes its bytes otherwise.
    pub fn commit(&self, promise: Promise, source: Option<&str>) -> Result<Cached, CacheError> {
        let mut written = self.written();
        let (digest, size) = (Digest::new(written.hasher.clone().finalize().into()), written.received);
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
        // What cannot get its name now, as on a full disk, keeps its bytes.
        fs::create_dir_all(&self.store.images)
            .and_then(|()| fs::rename(self.folder.join("data"), &path))
            .map_err(|error| self.failed(error, size))?;
        if let Err(error) = File::open(&self.store.images).and_then(|folder| folder.sync_all()) {
            let failed = self.failed(error, size);
            let _ = fs::remove_file(&path);
            self.discard(&mut written)?;
            return Err(failed);
        }
        self.store.indexed(&digest, source);
        self.discard(&mut written)?;
        self.store.keep_within_limits();
        Ok(Cached { digest, path, size })
    }

    /// Removes the directory with all that is in it. The lock file has no name from then on.
    fn discard(&self, written: &mut Written) -> Result<(), CacheError> {
        written.discarded = true;
        fs::remove_dir_all(&self.folder).map_err(|error| self.failed(error, 0))
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        // A panic between the two lines that write and hash would leave a wrong hash, which the commit then refuses.
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: io::Error, needed: u64) -> CacheError {
        CacheError::of(&self.folder, error, needed)
    }
}
