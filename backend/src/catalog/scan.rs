//! The images in this computer's folders.
//!
//! Folders and their direct subfolders are searched for `*.rts.png` every 30 s and on demand. A file is hashed and opened
//! once per path, size and modification time, and the result is kept in the database. A broken file is left out, and
//! `GET /health` shows the problem; it never hides the others.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pixelrts_shared::catalog::{Catalog, Entry};
use pixelrts_shared::{Digest, Level, Problem};
use rusqlite::{OptionalExtension, params};
use tokio::sync::{Notify, watch};

use super::checked_file::CheckedFile;
use super::error::CatalogError;
use super::read;
use crate::cache::hash_file;
use crate::clock;
use crate::database::Database;
use crate::files::FileIdentity;
use crate::{report, task};

const RESCAN_EVERY: Duration = Duration::from_secs(30);
/// The longest time that a reader waits for the first scan.
const FIRST_SCAN: Duration = Duration::from_secs(10);

/// Clones share what was found.
#[derive(Clone, Debug)]
pub struct Local(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    folders: Vec<PathBuf>,
    memory: Database,
    found: watch::Sender<Arc<Found>>,
    scanning: tokio::sync::Mutex<()>,
    asked: Notify,
}

/// What a scan found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Empty until the first scan is done.
    pub scanned_at: String,
    pub images: Vec<LocalImage>,
    pub problems: Vec<Problem>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LocalImage {
    pub path: PathBuf,
    /// What the file was when it was hashed.
    identity: FileIdentity,
    pub entry: Entry,
}

#[cfg(test)]
impl LocalImage {
    /// An image that is only said to be there.
    pub(super) fn for_test(entry: Entry) -> Self {
        let identity = FileIdentity::of(&fs::metadata("/").expect("every computer has a root folder"));
        Self { path: "x.rts.png".into(), identity, entry }
    }
}

impl Local {
    /// `name` is the name of this catalog for people. `memory` keeps what was read from files.
    #[must_use]
    pub fn new(name: String, folders: Vec<PathBuf>, memory: Database) -> Self {
        let found = watch::Sender::default();
        Self(Arc::new(Inner {
            name,
            folders,
            memory,
            found,
            scanning: tokio::sync::Mutex::default(),
            asked: Notify::new(),
        }))
    }

    /// Scans now and every half minute, until it is dropped.
    pub async fn keep_fresh(self) {
        loop {
            self.refresh().await;
            // The next scan begins when somebody asks for it, or after this time.
            let _ = tokio::time::timeout(RESCAN_EVERY, self.0.asked.notified()).await;
        }
    }

    /// Makes [`Local::keep_fresh`] scan now; returns at once.
    pub fn ask_for_scan(&self) {
        self.0.asked.notify_one();
    }

    /// Scans the folders now. A call during a scan waits for its end, and then makes a scan of its own.
    pub async fn refresh(&self) {
        let _one_at_a_time = self.0.scanning.lock().await;
        let inner = self.0.clone();
        let found = task::blocking(move || inner.scan()).await;
        self.0.found.send_if_modified(|now| {
            let changed = now.scanned_at.is_empty() || now.images != found.images || now.problems != found.problems;
            if changed {
                for problem in &found.problems {
                    report::problem(Level::Warn, problem, "an image file is left out");
                }
                *now = Arc::new(found);
            }
            changed
        });
    }

    /// What is known now.
    #[must_use]
    pub fn found(&self) -> Arc<Found> {
        self.0.found.borrow().clone()
    }

    /// Changes when a scan sees something new.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Arc<Found>> {
        self.0.found.subscribe()
    }

    /// The image of this digest that the last scan found.
    #[must_use]
    pub fn get(&self, digest: &Digest) -> Option<LocalImage> {
        self.found().images.iter().find(|image| image.entry.sha256 == *digest).cloned()
    }

    /// A file of this digest, opened, if there is one that is still what it was when it was hashed.
    pub async fn open(&self, digest: &Digest) -> Option<CheckedFile> {
        let LocalImage { path, identity, entry } = self.get(digest)?;
        let opened = task::blocking(move || CheckedFile::of_folder(&path, entry.sha256, &identity)).await;
        let file = opened.ok().flatten();
        if file.is_none() {
            self.ask_for_scan();
        }
        file
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The first scan is done.
    #[must_use]
    pub fn is_scanned(&self) -> bool {
        !self.0.found.borrow().scanned_at.is_empty()
    }

    /// What is known once the first scan is done; waits for it.
    pub async fn scanned(&self) -> Result<Arc<Found>, Problem> {
        let mut found = self.0.found.subscribe();
        let scanned = tokio::time::timeout(FIRST_SCAN, found.wait_for(|found| !found.scanned_at.is_empty())).await;
        scanned
            .ok()
            .and_then(Result::ok)
            .map(|found| found.clone())
            .ok_or_else(|| CatalogError::Scanning { within: FIRST_SCAN }.into())
    }

    /// The document that every catalog server speaks; waits for the first scan.
    pub async fn catalog(&self) -> Result<Catalog, Problem> {
        let found = self.scanned().await?;
        Ok(Catalog {
            format: Catalog::FORMAT,
            name: self.0.name.as_str().into(),
            generated_at: found.scanned_at.as_str().into(),
            entries: found.images.iter().map(|image| image.entry.clone()).collect(),
        })
    }
}

impl Inner {
    fn scan(&self) -> Found {
        let mut found = Found { scanned_at: clock::now(), ..Found::default() };
        let mut seen = HashSet::new();
        for path in self.folders.iter().flat_map(|folder| files(folder, &mut found.problems)).collect::<Vec<_>>() {
            match self.read(&path) {
                Ok(image) if seen.insert(image.entry.sha256) => found.images.push(image),
                Ok(_) => {}
                Err(problem) => found.problems.push(problem.context(path.display().to_string())),
            }
        }
        found
    }

    fn read(&self, path: &Path) -> Result<LocalImage, Problem> {
        let failed = |error: io::Error| unreadable(path, error);
        let identity = FileIdentity::of(&fs::metadata(path).map_err(failed)?);
        let modified = serde_json::to_string(&identity).expect("numbers");
        if let Some(entry) = self.remembered(path, identity.size, &modified) {
            return Ok(LocalImage { path: path.to_owned(), identity, entry });
        }
        let (digest, size) = hash_file(path).map_err(failed)?;
        let entry = read::entry(path, digest, size)?;
        if FileIdentity::of(&fs::metadata(path).map_err(failed)?) != identity {
            return Err(CatalogError::Changing { path: path.to_owned() }.into());
        }
        let image = LocalImage { path: path.to_owned(), identity, entry };
        self.remember(&image, &modified);
        Ok(image)
    }

    fn remembered(&self, path: &Path, size: u64, modified: &str) -> Option<Entry> {
        let select = "SELECT entry FROM scanned WHERE path = ?1 AND size = ?2 AND modified = ?3 AND reader = ?4";
        let values = params![path.to_str()?, size.cast_signed(), modified, READER];
        let found = self.memory.with(|sql| sql.query_row(select, values, |row| row.get::<_, String>(0)).optional());
        serde_json::from_str(&found.ok()??).ok()
    }

    /// This only saves time at the next start, so the scan goes on when it fails.
    fn remember(&self, image: &LocalImage, modified: &str) {
        let (Some(path), Ok(entry)) = (image.path.to_str(), serde_json::to_string(&image.entry)) else { return };
        let insert = "INSERT OR REPLACE INTO scanned (path, size, modified, reader, entry) VALUES (?1, ?2, ?3, ?4, ?5)";
        let values = params![path, image.entry.size.cast_signed(), modified, READER, entry];
        if let Err(error) = self.memory.with(|sql| sql.execute(insert, values)) {
            tracing::warn!(%error, "what an image file is cannot be remembered");
        }
    }
}

/// What read a file: another version of the program may read more out of it. The number behind the version is raised
/// when the same version begins to read files differently.
const READER: &str = concat!(env!("CARGO_PKG_VERSION"), ".2");

/// `*.rts.png` in a folder and in its direct subfolders, by name. A folder that does not exist holds nothing.
fn files(folder: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let mut list = |folder: &Path| match fs::read_dir(folder) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            problems.push(unreadable(folder, error));
            Vec::new()
        }
    };
    let mut paths: Vec<PathBuf> = list(folder);
    let below: Vec<_> = paths.iter().filter(|path| path.is_dir()).flat_map(|folder| list(folder)).collect();
    paths.extend(below);
    paths.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.ends_with(".rts.png") && !name.starts_with('.')) && path.is_file()
    });
    paths.sort();
    paths
}

fn unreadable(path: &Path, error: io::Error) -> Problem {
    CatalogError::Unreadable { path: path.to_owned(), error }.into()
}
