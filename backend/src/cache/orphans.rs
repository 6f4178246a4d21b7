//! Leftovers of the cache: rows of the index without a file, and downloads that nothing will continue.
//!
//! A file without a row needs nothing: it is hashed before its first use.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pixelrts_shared::Digest;

use super::{CacheError, Store};
use crate::files::Lock;

/// A download may wait so long to be continued.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Orphans {
    /// Rows of the index whose file does not exist.
    pub rows: Vec<Digest>,
    /// Directories of downloads without a byte, or untouched for 7 days.
    pub partials: Vec<PathBuf>,
}

impl Orphans {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.partials.is_empty()
    }
}

impl Store {
    /// Looks for leftovers. It reads names of files and never their bytes.
    pub fn orphans(&self) -> Result<Orphans, CacheError> {
        let files = self.digests();
        let indexed = self.index.with(|sql| {
            let mut select = sql.prepare("SELECT sha256 FROM cached")?;
            select.query_map((), |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()
        });
        let failed = |error| CacheError::Io { path: self.partial.clone(), error };
        let indexed = indexed.map_err(|error| failed(io::Error::other(error)))?;
        let rows = indexed.iter().filter_map(|row| row.parse().ok()).filter(|row| !files.contains(row)).collect();
        let folders = fs::read_dir(&self.partial).map_err(failed)?.flatten().map(|folder| folder.path());
        let given_up = |folder: &PathBuf| folder.is_dir() && is_free(folder) && is_nothing_to_continue(folder);
        Ok(Orphans { rows, partials: folders.filter(given_up).collect() })
    }

    /// Removes what is still a leftover. A download that somebody has continued meanwhile stays.
    pub fn remove_orphans(&self, orphans: &Orphans) -> Result<(), CacheError> {
        for row in &orphans.rows {
            if !self.path(row).exists() {
                self.note("DELETE FROM cached WHERE sha256 = ?1", [row.to_string()]);
            }
        }
        for folder in &orphans.partials {
            let remove = || -> io::Result<()> {
                let lock = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join("lock"))?;
                // While the lock is held, as everybody who removes one does.
                let lock = Lock::try_exclusive(lock)?;
                if lock.is_some() && is_nothing_to_continue(folder) {
                    fs::remove_dir_all(folder)?;
                }
                Ok(())
            };
            match remove() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(|error| CacheError::Io { path: folder.clone(), error })?,
            }
        }
        Ok(())
    }
}

fn is_free(folder: &Path) -> bool {
    File::open(folder.join("lock")).map_or(true, |lock| matches!(Lock::try_shared(lock), Ok(Some(_))))
}

fn is_nothing_to_continue(folder: &Path) -> bool {
    let Ok(data) = fs::metadata(folder.join("data")) else { return true };
    let age = data.modified().ok().and_then(|touched| SystemTime::now().duration_since(touched).ok());
    data.len() == 0 || age.is_some_and(|age| age > KEPT)
}
