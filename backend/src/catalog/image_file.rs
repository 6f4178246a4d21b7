//! An image on this computer, however it was named.

use std::io;
use std::path::{Path, PathBuf};

use pixelrts_shared::boot_decision::ImageWishes;
use pixelrts_shared::catalog::MergedEntry;
use pixelrts_shared::{Digest, Problem};

use super::checked_file::CheckedFile;
use super::scan::Local;
use crate::blob::FileBlob;
use crate::cache::{Store, hash_file};
use crate::files::storage_problem;
use crate::image::{Description, ImageError, Metadata, describe};
use crate::task::blocking;

/// The verified file of an image, in a local folder or in the cache.
pub(super) async fn file_here(
    local: &Local,
    store: Option<&Store>,
    digest: &Digest,
) -> Result<Option<CheckedFile>, Problem> {
    if let Some(file) = local.open(digest).await {
        return Ok(Some(file));
    }
    let Some(store) = store.cloned() else { return Ok(None) };
    let digest = *digest;
    match blocking(move || store.find(&digest)).await? {
        Some(cached) => Ok(Some(CheckedFile::of_cache(cached).await?)),
        None => Ok(None),
    }
}

/// A file to boot, to look into or to copy.
#[derive(Clone, Debug)]
pub struct ImageFile {
    content: Content,
    /// The digest of its index, once it was described.
    index: Option<Digest>,
    /// For people.
    pub name: String,
    /// What its catalog entry asks for a machine. What the image itself asks for comes first.
    pub wishes: ImageWishes,
    /// What a person should know about how it came here.
    pub note: Option<String>,
}

#[derive(Clone, Debug)]
enum Content {
    /// Somebody named it by its path: only what is read of it is checked, strip by strip.
    Named(PathBuf),
    Checked(CheckedFile),
}

impl ImageFile {
    /// A file that somebody names by its path.
    #[must_use]
    pub fn named(path: PathBuf, name: String) -> Self {
        Self { content: Content::Named(path), index: None, name, wishes: ImageWishes::default(), note: None }
    }

    /// A file for which no catalog has an entry.
    #[must_use]
    pub fn checked(file: CheckedFile, name: String) -> Self {
        Self { content: Content::Checked(file), index: None, name, wishes: ImageWishes::default(), note: None }
    }

    #[must_use]
    pub fn with_note(self, note: Option<String>) -> Self {
        Self { note, ..self }
    }

    /// The file of an entry.
    #[must_use]
    pub fn of_entry(file: CheckedFile, merged: &MergedEntry) -> Self {
        let name = merged.entry.name.to_string();
        Self { content: Content::Checked(file), index: None, name, wishes: merged.wishes(), note: None }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        match &self.content {
            Content::Named(path) => path,
            Content::Checked(file) => file.path(),
        }
    }

    /// The same file by its full path, for a program that runs in another directory.
    #[must_use]
    pub fn absolute(mut self) -> Self {
        if let Content::Named(path) = &mut self.content
            && let Ok(full) = std::path::absolute(&*path)
        {
            *path = full;
        }
        self
    }

    /// Of the whole file, and computed here, never taken from an advertisement. A file that somebody names by its path
    /// has none.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        match &self.content {
            Content::Named(_) => None,
            Content::Checked(file) => Some(*file.digest()),
        }
    }

    /// The bytes that were checked, or those to which the path leads now.
    pub fn open(&self) -> io::Result<FileBlob> {
        match &self.content {
            Content::Named(path) => FileBlob::open(path),
            Content::Checked(file) => file.blob(),
        }
    }

    /// What the image says about itself. From then on a machine expects the index that was found here.
    pub async fn describe(&mut self) -> Result<Metadata, ImageError> {
        let file = self.clone();
        let Description { metadata, index_digest } = blocking(move || describe(&file.open()?)).await?;
        self.index = index_digest;
        Ok(metadata)
    }

    /// The digest of the image's index, when it was described and has one.
    #[must_use]
    pub fn index(&self) -> Option<Digest> {
        self.index
    }

    /// The digest of the whole file, which is read to its end if nobody has done that yet.
    pub async fn hash(&self) -> Result<Digest, Problem> {
        if let Some(digest) = self.digest() {
            return Ok(digest);
        }
        let path = self.path().to_owned();
        let hashed = blocking(move || hash_file(&path)).await;
        hashed.map(|(digest, _)| digest).map_err(|error| {
            storage_problem(&error, "The image cannot be read.").context(self.path().display().to_string())
        })
    }
}
