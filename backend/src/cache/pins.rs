//! What stays in the cache whatever its limits say: images that a person has pinned, and the one that was booted last.
//!
//! Both are files beside the images, because the index may be lost and is not written by every process:
//! `pinned/{sha256}` is empty, and `last-booted` has a digest.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use pixelrts_shared::Digest;

use crate::files::{Existing, write_atomically};

#[derive(Clone, Debug)]
pub(super) struct Pins {
    pinned: PathBuf,
    last_booted: PathBuf,
}

impl Pins {
    /// In the folder of the cache.
    pub(super) fn new(cache: &Path) -> Self {
        Self { pinned: cache.join("pinned"), last_booted: cache.join("last-booted") }
    }

    pub(super) fn all(&self) -> HashSet<Digest> {
        let names = fs::read_dir(&self.pinned).into_iter().flatten().flatten();
        names.filter_map(|file| file.file_name().to_str()?.parse().ok()).collect()
    }

    pub(super) fn contains(&self, digest: &Digest) -> bool {
        self.path(digest).exists()
    }

    pub(super) fn pin(&self, digest: &Digest) -> io::Result<()> {
        fs::create_dir_all(&self.pinned)?;
        File::create(self.path(digest))?.sync_all()?;
        File::open(&self.pinned)?.sync_all()
    }

    /// Returns whether it was pinned.
    pub(super) fn unpin(&self, digest: &Digest) -> io::Result<bool> {
        match fs::remove_file(self.path(digest)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn last_booted(&self) -> Option<Digest> {
        fs::read_to_string(&self.last_booted).ok()?.trim().parse().ok()
    }

    pub(super) fn set_last_booted(&self, digest: &Digest) -> io::Result<()> {
        if self.last_booted() == Some(*digest) {
            return Ok(());
        }
        write_atomically(&self.last_booted, Existing::Replace, |file| writeln!(file, "{digest}"))
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.pinned.join(digest.to_string())
    }
}
