//! Leftovers of the cache: rows of the index without a file, downloads of which no byte has arrived, and the last uses
//! of what is not there any more.
//!
//! A file without a row needs nothing: it is hashed before its first use. A download that nobody has continued for long
//! is no leftover: what has arrived is kept until room is needed, or until a server can give all of it again.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

use pixelrts_shared::Digest;

use super::uses::is_held;
use super::{CacheError, Store};

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Orphans {
    /// Rows of the index whose file does not exist.
    pub rows: Vec<Digest>,
    /// Directories of downloads without a byte.
    pub partials: Vec<Digest>,
    /// Last uses of images and downloads that do not exist.
    pub uses: Vec<Digest>,
}

impl Orphans {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.partials.is_empty() && self.uses.is_empty()
    }
}

impl Store {
    /// Looks for leftovers. It reads names of files and never their bytes.
    pub fn orphans(&self) -> Result<Orphans, CacheError> {
        let files = self.digests();
        let failed = |error| CacheError::Io { path: self.partial.clone(), error };
        let indexed = self.index.all().map_err(|error| failed(io::Error::other(error)))?;
        let rows = indexed.into_keys().filter(|row| !files.contains(row)).collect();
        let folders = match fs::read_dir(&self.partial) {
            Ok(folders) => folders.flatten().collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(error)),
        };
        let keys: HashSet<Digest> =
            folders.iter().filter_map(|folder| folder.file_name().to_str()?.parse().ok()).collect();
        let uses = self.uses.names().into_iter().filter(|name| !files.contains(name) && !keys.contains(name)).collect();
        let is_leftover = |key: &Digest| {
            let folder = self.partial_folder(key);
            !is_held(&folder.join("lock")) && is_nothing_to_continue(&folder)
        };
        Ok(Orphans { rows, partials: keys.into_iter().filter(is_leftover).collect(), uses })
    }

    /// Removes what is still a leftover. A download that somebody has continued meanwhile stays.
    pub fn remove_orphans(&self, orphans: &Orphans) -> Result<(), CacheError> {
        let is_gone = |name: &&Digest| !self.path(name).exists() && !self.partial_folder(name).exists();
        orphans.rows.iter().filter(is_gone).for_each(|row| self.index.remove(row));
        orphans.uses.iter().filter(is_gone).for_each(|name| self.uses.forget(name));
        for key in &orphans.partials {
            let folder = self.partial_folder(key);
            if is_nothing_to_continue(&folder)
                && let Err(error) = self.remove_incomplete(key)
                && error.kind() != io::ErrorKind::NotFound
            {
                return Err(CacheError::Io { path: folder, error });
            }
        }
        Ok(())
    }
}

fn is_nothing_to_continue(folder: &Path) -> bool {
    fs::metadata(folder.join("data")).map_or(true, |data| data.len() == 0)
}
