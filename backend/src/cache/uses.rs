//! Uses of images: which are in use now, and when each was used last.
//!
//! A process that uses an image for long, a machine, holds a shared lock on its file ([`hold`]), which ends with the
//! process; an image is only removed under the exclusive lock. Handles that are open elsewhere, as for an answer that
//! is being sent, go on working.
//!
//! The last use is a file of its own, `uses/{sha256}`, with the time of [`Life`](super::life::Life): every process can
//! write it, it does not depend on the clock, and the image's own file never changes after it was verified.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use nix::fcntl::OFlag;
use pixelrts_shared::Digest;

use crate::files::Lock;

/// Who removes an image, or looks whether it is in use, has it locked for less than this.
const LOCKED_BRIEFLY: Duration = Duration::from_millis(200);
/// Uses within this time, in seconds, are written once.
const SAME_USE: u64 = 5;

/// An image that does not leave the cache as long as this is held.
#[derive(Debug)]
pub struct Held(Lock);

impl Held {
    /// The file, by the descriptor that is held.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.0
    }
}

/// Keeps an image from leaving the cache as long as the result is held. `None`: it is being removed, or is gone.
/// A file anywhere else may be held too; that hurts nobody.
pub fn hold(image: &Path) -> io::Result<Option<Held>> {
    let began = Instant::now();
    loop {
        // A pipe must not make this wait for a writer.
        let file = match OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(image) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        if let Some(lock) = Lock::try_shared(file)? {
            let named = lock.metadata()?.nlink() > 0;
            return Ok(named.then_some(Held(lock)));
        }
        if began.elapsed() > LOCKED_BRIEFLY {
            return Ok(None);
        }
        std::thread::sleep(LOCKED_BRIEFLY / 50);
    }
}

/// Whether another process, or somebody in this one, holds it.
pub(super) fn is_held(image: &Path) -> bool {
    File::open(image).is_ok_and(|file| matches!(Lock::try_exclusive(file), Ok(None)))
}

/// The folder `uses`.
#[derive(Clone, Debug)]
pub(super) struct Uses(PathBuf);

impl Uses {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Notes a use at this time of life. It is only a hint, so a failure is not one of the caller.
    pub(super) fn note(&self, name: &Digest, now: u64) {
        if self.last(name).is_some_and(|(last, _)| last <= now && now - last < SAME_USE) {
            return;
        }
        let path = self.path(name);
        let text = format!("{now}\n");
        let written = match fs::write(&path, &text) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.0).and_then(|()| fs::write(&path, &text))
            }
            other => other,
        };
        if let Err(error) = written {
            tracing::debug!(image.digest = %name, %error, "the use of an image cannot be noted");
        }
    }

    /// The time of life of the last use, and what the clock said then.
    pub(super) fn last(&self, name: &Digest) -> Option<(u64, SystemTime)> {
        let path = self.path(name);
        let last = fs::read_to_string(&path).ok()?.trim().parse().ok()?;
        Some((last, fs::metadata(&path).and_then(|file| file.modified()).ok()?))
    }

    pub(super) fn forget(&self, name: &Digest) {
        let _ = fs::remove_file(self.path(name));
    }

    /// Everything that a use is known of.
    pub(super) fn names(&self) -> Vec<Digest> {
        let names = fs::read_dir(&self.0).into_iter().flatten().flatten();
        names.filter_map(|file| file.file_name().to_str()?.parse().ok()).collect()
    }

    fn path(&self, name: &Digest) -> PathBuf {
        self.0.join(name.to_string())
    }
}
