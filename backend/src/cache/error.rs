//! What can go wrong with the cache, and what a person reads then.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use pixelrts_shared::{Digest, Problem, ProblemCode, Size};

use super::eviction::NoRoom;

/// A full disk is looked at again after this time.
const DISK_AGAIN: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// There is not enough space on the disk: `needed` bytes are missing.
    #[error("{} are missing on the disk of {}", Size::from_bytes(*needed).in_words(), path.display())]
    Full { path: PathBuf, needed: u64 },
    /// The disk has space, but its table of files is full.
    #[error("the disk of {} can hold no more files (df -i)", path.display())]
    NoFiles { path: PathBuf },
    /// The limit of the cache, and everything that could make room must stay.
    #[error("{0}")]
    NoRoom(Box<NoRoom>),
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
    #[error("no image {0} is in the cache")]
    NotHere(String),
    /// Each candidate with its name.
    #[error("{} images of the cache are called so", candidates.len())]
    Ambiguous { key: String, candidates: Vec<String> },
    /// It cannot be removed.
    #[error("a machine uses the image {0}")]
    InUse(Digest),
    /// What has arrived of it cannot be removed.
    #[error("a download works on {0}")]
    Downloading(Digest),
    /// It is not removed.
    #[error("the image {0} is pinned")]
    Pinned(Digest),
}

impl CacheError {
    /// What the system's refusal means. `needed`: the bytes for which there is no space, as far as they are known.
    pub fn of(path: &Path, error: io::Error, needed: u64) -> Self {
        let path = path.to_owned();
        let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        match is_full {
            true if has_no_files(&path) => Self::NoFiles { path },
            true => Self::Full { path, needed: needed.max(1) },
            false => Self::Io { path, error },
        }
    }

    /// A download that failed like this may go on after this time, when a person or another download has made room.
    /// `None`: waiting does not help.
    #[must_use]
    pub fn passes_after(&self) -> Option<Duration> {
        match self {
            Self::Full { .. } | Self::NoFiles { .. } => Some(DISK_AGAIN),
            Self::NoRoom(refusal) => refusal.soon,
            _ => None,
        }
    }
}

/// Whether the disk lacks entries for files, and not space.
fn has_no_files(path: &Path) -> bool {
    let place = path.ancestors().find(|place| place.exists()).unwrap_or(path);
    statvfs(place).is_ok_and(|disk| disk.files() > 0 && disk.files_available() == 0 && disk.blocks_available() > 0)
}

impl From<CacheError> for Problem {
    fn from(error: CacheError) -> Self {
        let why = error.to_string();
        match error {
            CacheError::Full { path, .. } => Self::new(
                ProblemCode::StorageFull,
                "The disk of the cache is full.",
                why,
                format!(
                    "Free some space on the disk of {}. What has been downloaded is kept, and the download continues \
                     from there.",
                    path.display()
                ),
            ),
            CacheError::NoFiles { path } => Self::new(
                ProblemCode::StorageFull,
                "The disk of the cache can hold no more files.",
                why,
                format!(
                    "Remove files that you do not need from the disk of {}; many small ones help most. What has been \
                     downloaded is kept, and the download continues from there.",
                    path.display()
                ),
            ),
            CacheError::NoRoom(refusal) => Self::new(
                ProblemCode::CacheFull,
                "There is no room for this image in the cache.",
                why,
                match refusal.soon {
                    Some(soon) => format!("Try again in {} s, when those images can be removed.", soon.as_secs()),
                    None => {
                        "Remove images that you do not need (pixelrts cache ls, then pixelrts cache rm KEY), or set \
                             cache.max_size higher."
                            .to_owned()
                    }
                },
            ),
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
            CacheError::NotHere(key) => Self::new(
                ProblemCode::EntryNotFound,
                format!("There is no image {key} in the cache."),
                "No complete image there has this digest, a digest that begins so, this id or this name.",
                "See what is there: pixelrts cache ls",
            ),
            CacheError::Ambiguous { key, candidates } => Self::new(
                ProblemCode::Ambiguous,
                format!("{key} is not the name of one image only."),
                why,
                "Name the image by more digits of its SHA-256.",
            )
            .context(candidates.join("; ")),
            CacheError::InUse(_) => Self::new(
                ProblemCode::Busy,
                "The image is in use.",
                why,
                "Stop the machine that was booted from it, then try again.",
            ),
            CacheError::Downloading(_) => Self::new(
                ProblemCode::Busy,
                "The image is being downloaded.",
                why,
                "Cancel the download, then try again.",
            ),
            CacheError::Pinned(digest) => Self::new(
                ProblemCode::Busy,
                "The image is pinned.",
                why,
                format!("If you do not need it any more: pixelrts cache unpin {digest}"),
            ),
        }
    }
}
