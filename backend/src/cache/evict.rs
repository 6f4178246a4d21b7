//! Keeps the cache within its limits: the image that was used longest ago is removed first.
//!
//! When an image was last used is the modification time of its file: nothing in it ever changes, and unlike the index
//! the time is there for every program and cannot be lost. A process that uses an image for long, a machine, holds a
//! shared lock on the file ([`pin`]), which ends with the process; an image is only removed under the exclusive lock.
//! Handles that are open elsewhere, as for an answer that is being sent, go on working.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use pixelrts_shared::Digest;

use super::Store;
use crate::files::Lock;

/// The longest time between finding an image and pinning it in the process of a machine.
const GRACE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The size of all complete images together, in bytes.
    pub max_size: u64,
    /// An image that was not used for longer than this is removed.
    pub ttl: Duration,
}

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evicted {
    pub images: Vec<Digest>,
    pub bytes: u64,
}

struct Image {
    digest: Digest,
    size: u64,
    used: SystemTime,
}

impl Store {
    /// From now on the cache is brought within these limits after each image that comes.
    pub fn set_limits(&self, limits: Limits) {
        *self.limits() = Some(limits);
    }

    /// Removes what the limits do not allow, but nothing that is in use. When that is not enough, the cache stays larger
    /// than its limits.
    pub fn evict(&self, limits: &Limits) -> Evicted {
        let now = SystemTime::now();
        let mut images: Vec<_> = self.digests().into_iter().filter_map(|digest| self.image(digest)).collect();
        images.sort_by_key(|image| (image.used, image.digest));
        let mut size: u64 = images.iter().map(|image| image.size).sum();
        let mut evicted = Evicted::default();
        for image in images {
            let idle = idle(image.used, now);
            if idle < GRACE || idle <= limits.ttl && size <= limits.max_size {
                continue;
            }
            match self.remove_unused(&image, now) {
                Ok(true) => {
                    size -= image.size;
                    evicted.bytes += image.size;
                    evicted.images.push(image.digest);
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(image.digest = %image.digest, %error, "an image cannot leave the cache"),
            }
        }
        if !evicted.images.is_empty() {
            tracing::info!(
                images = evicted.images.len(),
                size_bytes = evicted.bytes,
                "the cache was cut to its limits"
            );
        }
        evicted
    }

    /// The same with the limits that were set.
    pub fn keep_within_limits(&self) {
        let limits = *self.limits();
        if let Some(limits) = limits {
            self.evict(&limits);
        }
    }

    fn image(&self, digest: Digest) -> Option<Image> {
        let found = fs::symlink_metadata(self.path(&digest)).ok().filter(fs::Metadata::is_file)?;
        Some(Image { digest, size: found.len(), used: found.modified().ok()? })
    }

    /// False when somebody uses it.
    fn remove_unused(&self, image: &Image, now: SystemTime) -> io::Result<bool> {
        let file = File::open(self.path(&image.digest))?;
        let Some(lock) = Lock::try_exclusive(file)? else { return Ok(false) };
        // Somebody may have found it since the list was made; from here on nobody can.
        if idle(lock.metadata()?.modified()?, now) < GRACE {
            return Ok(false);
        }
        self.remove(&image.digest).map_err(io::Error::other)?;
        Ok(true)
    }

    /// Notes that the image is used now. False when it is being removed.
    pub(super) fn touch(&self, digest: &Digest) -> bool {
        let noted = match pin(&self.path(digest)) {
            Ok(None) => return false,
            Ok(Some(file)) => file.set_modified(SystemTime::now()),
            Err(error) => Err(error),
        };
        if let Err(error) = noted {
            tracing::debug!(image.digest = %digest, %error, "the use of an image cannot be noted");
        }
        true
    }
}

/// When the clock was set back, nothing counts as old.
fn idle(used: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(used).unwrap_or_default()
}

/// Keeps an image from leaving the cache as long as the file is held. `None`: it is being removed, or is gone.
/// A file anywhere else may be pinned too; that hurts nobody.
pub fn pin(image: &Path) -> io::Result<Option<File>> {
    let file = match File::open(image) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    match file.try_lock_shared() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        // A file system without locks: then nothing is evicted from it either.
        Err(TryLockError::Error(error)) => tracing::debug!(path = %image.display(), %error, "no lock on an image"),
    }
    let named = file.metadata()?.nlink() > 0;
    Ok(named.then_some(file))
}
