//! An image on this computer, however it was named.

use std::path::PathBuf;

use pixelrts_shared::boot_decision::ImageWishes;
use pixelrts_shared::catalog::MergedEntry;
use pixelrts_shared::{Digest, Problem};

use super::scan::{Local, LocalImage};
use crate::cache::{Store, hash_file};
use crate::files::storage_problem;
use crate::task::blocking;

/// The verified file of an image, in a local folder or in the cache.
pub(super) async fn file_here(
    local: &Local,
    store: Option<&Store>,
    digest: &Digest,
) -> Result<Option<PathBuf>, Problem> {
    let (local, store, digest) = (local.get(digest), store.cloned(), *digest);
    blocking(move || match local.filter(LocalImage::is_unchanged) {
        Some(image) => Ok(Some(image.path)),
        None => Ok(store.map(|store| store.find(&digest)).transpose()?.flatten().map(|cached| cached.path)),
    })
    .await
}

/// A file to boot, to look into or to copy.
#[derive(Clone, Debug)]
pub struct ImageFile {
    pub path: PathBuf,
    /// For people.
    pub name: String,
    /// Of the whole file, and computed here, never taken from an advertisement. A file that somebody names by its path
    /// has none: only what is read of it is checked, strip by strip.
    pub digest: Option<Digest>,
    /// What its catalog entry asks for a machine. What the image itself asks for comes first.
    pub wishes: ImageWishes,
}

impl ImageFile {
    /// The file of an entry.
    #[must_use]
    pub fn of_entry(path: PathBuf, merged: &MergedEntry) -> Self {
        let entry = &merged.entry;
        Self { path, name: entry.name.clone(), digest: Some(entry.sha256), wishes: merged.wishes() }
    }

    /// The digest of the whole file, which is read to its end if nobody has done that yet.
    pub async fn hash(&self) -> Result<Digest, Problem> {
        if let Some(digest) = self.digest {
            return Ok(digest);
        }
        let path = self.path.clone();
        let hashed = blocking(move || hash_file(&path)).await;
        hashed.map(|(digest, _)| digest).map_err(|error| {
            storage_problem(&error, "The image cannot be read.").context(self.path.display().to_string())
        })
    }
}
