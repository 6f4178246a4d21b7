//! Images on this computer, named by their computed SHA-256.
//!
//! `remote/{sha256}.rts.png` is complete and verified, or it does not exist: bytes are written to `partial/{key}/` and
//! hashed at the same time, and the file is renamed only when the digest is the expected one. Only the files count. The
//! database is an index of them: a file that is not in it, or that looks different than when it was hashed, is hashed
//! before its next use, and a file whose digest is not its name is removed.
//!
//! ```text
//!  remote/{sha256}.rts.png   images          uses/{sha256}     when each was used last (`uses`, `life`)
//!  partial/{key}/            downloads       pinned/{sha256}   what a person has pinned (`pins`)
//!  addresses/{key}           what addresses had (`addresses`)
//!  thumbnails/               pictures        last-booted       the image of the last boot
//! ```
//! What leaves the cache is decided in `eviction` and carried out in `room`.

mod addresses;
mod error;
mod eviction;
mod index;
mod inventory;
mod life;
mod listed;
mod orphans;
mod partial;
mod pins;
mod room;
mod uses;

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use nix::fcntl::OFlag;
use pixelrts_shared::Digest;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::database::Database;
use crate::paths::Paths;
use crate::policy::manifest::{Content, Directory, File as Needed, manifest};

pub use addresses::AddressCopy;
pub use error::CacheError;
pub use eviction::{Item, Limits, NoRoom, Reason, Removal};
pub use index::SCHEMA;
pub use inventory::{Inventory, KeptImage, Verdict};
pub use listed::Listed;
pub use orphans::Orphans;
pub use partial::{Partial, Promise};
pub use room::Room;
pub use uses::{Held, hold};

use index::{Index, Stamp};
use life::Life;
use pins::Pins;
use uses::Uses;

manifest! {
    module: "cache",
    directories: &[Directory { at: Paths::images, private: false }, Directory { at: Paths::partial, private: false }],
    files: &[Needed {
        at: |paths| paths.cache.join("CACHEDIR.TAG"),
        // Backup programs skip a directory with this file (<https://bford.info/cachedir/>).
        content: Content::Exactly(
            "Signature: 8a477f597d28d172789f06886806bc55\n\
             # Images and thumbnails that PixelRTS can fetch or make again.\n",
        ),
    }],
    database: Some(&SCHEMA)
}

/// The store, in which the digest of an image is its name. Clones share it. Calls block on the disk.
#[derive(Clone, Debug)]
pub struct Store {
    /// Of the whole cache.
    folder: PathBuf,
    images: PathBuf,
    partial: PathBuf,
    index: Index,
    uses: Uses,
    pins: Pins,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: Mutex<Option<Limits>>,
    can_be_had: CanBeHad,
    /// The sizes of images for which room was made, by the keys of their downloads.
    reserved: Mutex<HashMap<Digest, u64>>,
    /// Two that make room at once would remove too much.
    tidying: Mutex<()>,
    life: Life,
    /// Grows when an image comes, leaves, or is known better.
    changes: watch::Sender<u64>,
}

type Question = dyn Fn(&Digest) -> bool + Send + Sync;

/// Whether a server can give an image again now.
#[derive(Default)]
struct CanBeHad(OnceLock<Box<Question>>);

/// A complete, verified image in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cached {
    pub digest: Digest,
    pub path: PathBuf,
    /// In bytes.
    pub size: u64,
}

/// A verified image by the descriptor by which it was verified. It does not leave the cache as long as this is held.
#[derive(Debug)]
pub struct Opened {
    pub image: Cached,
    pub held: Held,
}

impl Store {
    #[must_use]
    pub fn new(paths: &Paths, index: Database) -> Self {
        let folder = paths.cache.clone();
        Self {
            images: paths.images(),
            partial: paths.partial(),
            index: Index::new(index),
            uses: Uses::new(folder.join("uses")),
            pins: Pins::new(&folder),
            shared: Arc::new(Shared {
                limits: Mutex::default(),
                can_be_had: CanBeHad::default(),
                reserved: Mutex::default(),
                tidying: Mutex::default(),
                life: Life::new(folder.join("lived")),
                changes: watch::Sender::new(0),
            }),
            folder,
        }
    }

    /// Sets, once, how the store asks whether a server can give an image again now: one that answered, and still offers
    /// it. Until then nothing can be had again.
    pub fn ask_servers(&self, can_be_had: impl Fn(&Digest) -> bool + Send + Sync + 'static) {
        let _ = self.shared.can_be_had.0.set(Box::new(can_be_had));
    }

    /// The image, if it is here and its bytes are known to be right. This counts as a use of the image.
    pub fn find(&self, digest: &Digest) -> Result<Option<Cached>, CacheError> {
        Ok(self.open(digest)?.map(|opened| opened.image))
    }

    /// The same with the open file.
    pub fn open(&self, digest: &Digest) -> Result<Option<Opened>, CacheError> {
        self.checked(digest, |file| self.index.get(digest).and_then(|row| row.stamp) == Some(Stamp::of(file)))
    }

    /// The image, if it is here and known to be right. This does not count as a use, and hashes nothing.
    #[must_use]
    pub fn peek(&self, digest: &Digest) -> Option<Cached> {
        let path = self.path(digest);
        let file = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?;
        let stamped = self.index.get(digest)?.stamp? == Stamp::of(&file);
        stamped.then_some(Cached { digest: *digest, path, size: file.len() })
    }

    /// Hashes the file. When it is right, it is added to the index; when it is wrong, it is removed, so that it is
    /// fetched again.
    pub fn recheck(&self, digest: &Digest) -> Result<Option<Cached>, CacheError> {
        Ok(self.checked(digest, |_| false)?.map(|opened| opened.image))
    }

    /// Opens the file, and hashes it unless it is known to be right.
    fn checked(
        &self,
        digest: &Digest,
        is_known: impl FnOnce(&fs::Metadata) -> bool,
    ) -> Result<Option<Opened>, CacheError> {
        let path = self.path(digest);
        let failed = |error| CacheError::Io { path: path.clone(), error };
        // A link may lead to a file that somebody else writes to.
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        }
        let Some(held) = hold(&path).map_err(failed)? else { return Ok(None) };
        let before = held.file().metadata().map_err(failed)?;
        if !is_known(&before) {
            let mut file = held.file();
            let found = file.rewind().and_then(|()| hash_reader(file)).map_err(failed)?.0;
            let found = Digest::new(found.finalize().into());
            if found != *digest {
                let again = self.can_be_had(digest);
                tracing::warn!(image.digest = %digest, %found, can_be_fetched_again = again, "a cached image was damaged and is removed");
                drop(held);
                self.remove(digest)?;
                return Ok(None);
            }
            // As it looked before: what is written to it meanwhile shows.
            self.index.put(digest, &before, None);
            self.has_changed();
        }
        self.uses.note(digest, self.shared.life.now());
        let image = Cached { digest: *digest, path: path.clone(), size: before.len() };
        Ok(Some(Opened { image, held }))
    }

    /// Checks a file in which wrong bytes were found. True when it was damaged and has been removed.
    pub fn heal(&self, digest: &Digest) -> Result<bool, CacheError> {
        Ok(self.path(digest).exists() && self.recheck(digest)?.is_none())
    }

    /// The digests of all files, by their names only.
    #[must_use]
    pub fn digests(&self) -> HashSet<Digest> {
        let names = fs::read_dir(&self.images).into_iter().flatten().flatten();
        names.filter_map(|file| file.file_name().to_str()?.strip_suffix(".rts.png")?.parse().ok()).collect()
    }

    /// A number that grows when an image comes, leaves, or is known better.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    fn has_changed(&self) {
        self.shared.changes.send_modify(|n| *n += 1);
    }

    /// In bytes.
    #[must_use]
    pub fn size(&self, digest: &Digest) -> u64 {
        fs::symlink_metadata(self.path(digest)).map(|file| file.len()).unwrap_or_default()
    }

    pub fn remove(&self, digest: &Digest) -> Result<(), CacheError> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(CacheError::Io { path, error }),
            Ok(()) | Err(_) => {}
        }
        self.index.remove(digest);
        self.uses.forget(digest);
        self.has_changed();
        Ok(())
    }

    /// Keeps an image until it is unpinned, whatever the limits say.
    pub fn pin(&self, digest: &Digest) -> Result<(), CacheError> {
        if !self.path(digest).exists() {
            return Err(CacheError::NotHere(digest.to_string()));
        }
        self.pins.pin(digest).map_err(|error| CacheError::of(&self.folder, error, 0))
    }

    /// Returns whether it was pinned.
    pub fn unpin(&self, digest: &Digest) -> Result<bool, CacheError> {
        self.pins.unpin(digest).map_err(|error| CacheError::of(&self.folder, error, 0))
    }

    /// Notes that a machine was booted from this image, which then stays until another one is booted.
    pub fn booted(&self, digest: &Digest) {
        if self.path(digest).exists()
            && let Err(error) = self.pins.set_last_booted(digest)
        {
            tracing::debug!(image.digest = %digest, %error, "the last boot cannot be noted");
        }
    }

    /// Takes the lock of a partial file and continues where the last holder stopped.
    ///
    /// `key` is the digest where it is known, else a hash of the address of the bytes.
    pub fn begin(&self, key: &Digest) -> Result<Partial, CacheError> {
        let partial = Partial::open(self, key)?;
        self.uses.note(key, self.shared.life.now());
        Ok(partial)
    }

    /// The file of a download under way, to read along; the handle stays valid when the image is complete.
    pub fn growing(&self, key: &Digest) -> io::Result<File> {
        File::open(self.partial_folder(key).join("data")).or_else(|_| File::open(self.path(key)))
    }

    fn limits(&self) -> MutexGuard<'_, Option<Limits>> {
        // A copy is put in or taken out: nothing is left half done.
        self.shared.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reserved(&self) -> MutexGuard<'_, HashMap<Digest, u64>> {
        self.shared.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn can_be_had(&self, digest: &Digest) -> bool {
        self.shared.can_be_had.0.get().is_some_and(|ask| ask(digest))
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.images.join(format!("{digest}.rts.png"))
    }

    fn partial_folder(&self, key: &Digest) -> PathBuf {
        self.partial.join(key.to_string())
    }

    /// Adds a file that was hashed while it was written.
    fn indexed(&self, digest: &Digest, source: Option<&str>) {
        match fs::metadata(self.path(digest)) {
            Ok(file) => self.index.put(digest, &file, source),
            Err(error) => tracing::debug!(image.digest = %digest, %error, "a new image has gone"),
        }
        self.has_changed();
        self.uses.note(digest, self.shared.life.now());
    }
}

impl std::fmt::Debug for CanBeHad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CanBeHad").field("is_set", &self.0.get().is_some()).finish()
    }
}

/// The SHA-256 and size of a file, read in pieces of 256 KiB. Anything else is refused: a pipe without a writer would be
/// waited for, and some devices never end.
pub fn hash_file(path: &Path) -> io::Result<(Digest, u64)> {
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let kind = file.metadata()?.file_type();
    if !(kind.is_file() || kind.is_block_device()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a file nor a block device"));
    }
    let (hasher, size) = hash_reader(file)?;
    Ok((Digest::new(hasher.finalize().into()), size))
}

/// The hash and the size of everything that a reader returns.
pub(crate) fn hash_reader(mut reader: impl Read) -> io::Result<(Sha256, u64)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    let mut size = 0;
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok((hasher, size)),
            count => {
                hasher.update(&buffer[..count]);
                size += count as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests;
