//! Images on this computer, named by their computed SHA-256.
//!
//! `remote/{sha256}.rts.png` is complete and verified, or it does not exist: bytes are written to `partial/{key}/` and
//! hashed at the same time, and the file is renamed only when the digest is the expected one. Only the files count. The
//! database is an index of them: a file that is not in it (because the index was lost, or somebody put the file there)
//! is hashed before its first use, and a file whose digest is not its name is removed.

mod evict;
mod orphans;
mod partial;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pixelrts_shared::{Digest, Problem, ProblemCode};
use rusqlite::OptionalExtension;
use rusqlite_migration::M;
use sha2::{Digest as _, Sha256};

use crate::clock;
use crate::database::{Database, Loss, Schema};
use crate::paths::Paths;
use crate::policy::manifest::{Content, Directory, File as Needed, manifest};

pub use evict::{Evicted, Limits, pin};
pub use orphans::Orphans;
pub use partial::{Partial, Promise};

/// The index of the store.
pub static SCHEMA: Schema = Schema {
    name: "cache",
    migrations: &[M::up(
        "CREATE TABLE cached (                 -- an index: the files are the truth
            sha256 TEXT PRIMARY KEY, size INTEGER NOT NULL, source TEXT,
            verified_at TEXT NOT NULL, last_used TEXT NOT NULL
         ) STRICT;",
    )],
    loss: Loss::Index,
};

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
    images: PathBuf,
    partial: PathBuf,
    index: Database,
    limits: Arc<Mutex<Option<Limits>>>,
}

/// A complete, verified image in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cached {
    pub digest: Digest,
    pub path: PathBuf,
    /// In bytes.
    pub size: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// There is not enough space on the disk: `needed` bytes are missing.
    #[error("{needed} bytes are needed in {}", path.display())]
    Full { path: PathBuf, needed: u64 },
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    /// The bytes are not what was promised. None of them were kept.
    #[error("expected {expected}, found {found}")]
    Mismatch { expected: Digest, found: Digest },
    /// No digest was promised for the bytes, and they are not an image. None of them were kept.
    #[error("{0}")]
    NotAnImage(Box<Problem>),
    /// Another process is writing the same image.
    #[error("another process is downloading the same image")]
    Locked,
}

impl Store {
    #[must_use]
    pub fn new(paths: &Paths, index: Database) -> Self {
        Self { images: paths.images(), partial: paths.partial(), index, limits: Arc::default() }
    }

    /// The image, if it is here and its bytes are known to be right. This counts as a use of the image.
    pub fn find(&self, digest: &Digest) -> Result<Option<Cached>, CacheError> {
        let path = self.path(digest);
        let size = match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => found.len(),
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CacheError::Io { path, error }),
        };
        if self.indexed_size(digest) != Some(size) {
            return self.recheck(digest);
        }
        Ok(self.touch(digest).then_some(Cached { digest: *digest, path, size }))
    }

    /// Hashes the file. When it is right, it is added to the index; when it is wrong, it is removed, so that it is
    /// fetched again.
    pub fn recheck(&self, digest: &Digest) -> Result<Option<Cached>, CacheError> {
        let path = self.path(digest);
        let (found, size) = match hash_file(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CacheError::Io { path, error }),
        };
        if found != *digest {
            tracing::warn!(image.digest = %digest, found = %found, "a cached image was damaged and is removed");
            self.remove(digest)?;
            return Ok(None);
        }
        self.indexed(digest, size, None);
        Ok(self.touch(digest).then_some(Cached { digest: *digest, path, size }))
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

    pub fn remove(&self, digest: &Digest) -> Result<(), CacheError> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(CacheError::Io { path, error }),
            Ok(()) | Err(_) => {}
        }
        self.note("DELETE FROM cached WHERE sha256 = ?1", [digest.to_string()]);
        Ok(())
    }

    /// Takes the lock of a partial file and continues where the last holder stopped.
    ///
    /// `key` is the digest where it is known, else a hash of the address of the bytes.
    pub fn begin(&self, key: &Digest) -> Result<Partial, CacheError> {
        Partial::open(self, &self.partial.join(key.to_string()))
    }

    /// The file of a download under way, to read along; the handle stays valid when the image is complete.
    pub fn growing(&self, key: &Digest) -> io::Result<File> {
        File::open(self.partial.join(key.to_string()).join("data")).or_else(|_| File::open(self.path(key)))
    }

    fn limits(&self) -> MutexGuard<'_, Option<Limits>> {
        // A copy is put in or taken out: nothing is left half done.
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.images.join(format!("{digest}.rts.png"))
    }

    fn indexed_size(&self, digest: &Digest) -> Option<u64> {
        let select = "SELECT size FROM cached WHERE sha256 = ?1";
        let row = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        let size = self.index.with(|sql| sql.query_row(select, [digest.to_string()], row).optional());
        size.ok().flatten().and_then(|size| u64::try_from(size).ok())
    }

    fn indexed(&self, digest: &Digest, size: u64, source: Option<&str>) {
        self.note(
            "INSERT OR REPLACE INTO cached (sha256, size, source, verified_at, last_used) VALUES (?1, ?2, ?3, ?4, ?4)",
            rusqlite::params![digest.to_string(), size.cast_signed(), source, clock::now()],
        );
    }

    /// The store works without its index, so an error in writing it is not an error of the store.
    fn note(&self, statement: &str, values: impl rusqlite::Params) {
        if let Err(error) = self.index.with(|sql| sql.execute(statement, values)) {
            tracing::warn!(%error, "the database of the cache cannot be written");
        }
    }
}

/// The SHA-256 and size of a file, read in pieces of 256 KiB.
pub fn hash_file(path: &Path) -> io::Result<(Digest, u64)> {
    let (hasher, size) = hash_reader(File::open(path)?)?;
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

impl From<CacheError> for Problem {
    fn from(error: CacheError) -> Self {
        let why = error.to_string();
        match error {
            CacheError::Full { path, needed } => Self::new(
                ProblemCode::StorageFull,
                "The disk of the cache is full.",
                why,
                format!(
                    "Free at least {} MiB on the disk of {}. What has been downloaded is kept, and the download \
                     continues from there.",
                    needed.div_ceil(1 << 20),
                    path.display()
                ),
            ),
            CacheError::Io { path, error } if error.kind() == io::ErrorKind::StorageFull => {
                CacheError::Full { path, needed: 1 }.into()
            }
            CacheError::Io { path, error } if error.kind() == io::ErrorKind::PermissionDenied => Self::new(
                ProblemCode::PermissionDenied,
                format!("{} cannot be used by this user.", path.display()),
                why,
                "Make the cache directory writable for this user, or set XDG_CACHE_HOME.",
            ),
            CacheError::Io { path, .. } => Self::new(
                ProblemCode::StorageFailed,
                format!("{} cannot be read or written.", path.display()),
                why,
                "Check the disk and the directory, then try again.",
            ),
            CacheError::Mismatch { expected, found } => Self::new(
                ProblemCode::HashMismatch,
                "The image is not the one that was promised.",
                format!("Its SHA-256 is {found}, but {expected} was expected. Nothing of it was kept."),
                "Try again, or fetch it from another server.",
            )
            .context(format!("expected {expected}, found {found}")),
            CacheError::NotAnImage(problem) => *problem,
            CacheError::Locked => Self::new(
                ProblemCode::Busy,
                "Another process downloads the same image.",
                "It holds the image's lock and makes no progress.",
                "Wait until it has finished, or end it. Then this download continues where the other one stopped.",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
