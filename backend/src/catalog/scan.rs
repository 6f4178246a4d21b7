//! The images in this computer's folders.
//!
//! Folders and their direct subfolders are searched for `*.rts.png` every 30 s and on demand, each folder on a thread of
//! its own, and every image is there as soon as it is read. A file is read once for each of its versions; what was found
//! is kept in the database. Files that are no images are left out, and a folder that hangs is left out as long as it
//! does: `GET /health` shows both, and they never hide the others.
//!
//! | file | what |
//! | --- | --- |
//! | `place` | one folder, and the threads that look through it |
//! | `pass` | one look: what such a thread does |
//! | `folder` | what these threads share |
//! | `progress` | which thread is at work, and which paths hang; pure |
//! | `known` | what is known of files, and when one is read again; pure |
//! | `state` | all that is known of one folder |
//! | `found` | what was found in all folders together |
//! | `local_image` | an image in a folder |
//! | `memory` | what is kept in the database |

mod folder;
mod found;
mod known;
mod local_image;
mod memory;
mod pass;
mod place;
mod progress;
mod state;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use pixelrts_shared::catalog::{Catalog, Entry};
use pixelrts_shared::{Digest, Level, Problem};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::checked_file::CheckedFile;
use super::error::CatalogError;
use super::turns::Turns;
use crate::database::Database;
use crate::{clock, report};
pub use found::Found;
pub use local_image::LocalImage;
use memory::Memory;
use place::Place;

/// The longest time that a reader waits for the first scan.
const FIRST_SCAN: Duration = Duration::from_secs(10);
/// So many images arrive in the folders at the same time.
const MOST_IMPORTS: usize = 2;

/// Clones share what was found.
#[derive(Clone, Debug)]
pub struct Local(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    places: Vec<Arc<Place>>,
    importing: Arc<Semaphore>,
    found: watch::Sender<Arc<Found>>,
    /// The revisions of the folders in what was found.
    shown: Mutex<Option<Vec<u64>>>,
}

impl Local {
    /// `name` is the name of this catalog for people. `memory` keeps what was read from files.
    #[must_use]
    pub fn new(name: String, folders: Vec<PathBuf>, memory: Database) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let (memory, turns) = (Memory::new(memory), Turns::new(processors));
        let place = |folder| Arc::new(Place::new(folder, memory.clone(), turns.clone()));
        let places = folders.into_iter().map(place).collect();
        let importing = Arc::new(Semaphore::new(MOST_IMPORTS));
        Self(Arc::new(Inner { name, places, importing, found: watch::Sender::default(), shown: Mutex::default() }))
    }

    /// Scans now and every half minute, until it is dropped. Each folder keeps its own time.
    pub async fn keep_fresh(self) {
        self.0.show();
        join_all(self.0.places.iter().map(|place| Arc::clone(place).keep_fresh(|| self.0.show()))).await;
    }

    /// Makes [`Local::keep_fresh`] scan now; returns at once.
    pub fn ask_for_scan(&self) {
        self.0.places.iter().for_each(|place| place.ask());
    }

    /// Scans the folders now, until only what hangs is left. A call during a scan waits for its end, and then makes a scan
    /// of its own.
    pub async fn refresh(&self) {
        self.0.show();
        join_all(self.0.places.iter().map(|place| place.refresh(|| self.0.show()))).await;
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

    /// An image of this digest.
    #[must_use]
    pub fn get(&self, digest: &Digest) -> Option<Arc<LocalImage>> {
        self.found().copies(digest).first().map(|(_, image)| Arc::clone(image))
    }

    /// A file of this digest, opened, if there is one that is still what it was when it was hashed.
    pub async fn open(&self, digest: &Digest) -> Option<CheckedFile> {
        let found = self.found();
        for (place, image) in found.copies(digest) {
            if let Some(file) = self.0.places[*place].open(image).await {
                return Some(file);
            }
        }
        None
    }

    /// In the order in which they were named.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.0.places.iter().map(|place| place.path())
    }

    /// The right to put an image into a folder; `None` while others use it.
    pub(super) fn turn_to_import(&self) -> Option<OwnedSemaphorePermit> {
        self.0.importing.clone().try_acquire_owned().ok()
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Everything that answers was looked at once.
    #[must_use]
    pub fn is_scanned(&self) -> bool {
        self.0.found.borrow().is_settled()
    }

    /// What is known once everything that answers was looked at once; waits for it.
    pub async fn scanned(&self) -> Result<Arc<Found>, Problem> {
        let found = self.found();
        if found.is_settled() {
            return Ok(found);
        }
        let mut found = self.0.found.subscribe();
        let scanned = tokio::time::timeout(FIRST_SCAN, found.wait_for(|found| found.is_settled())).await;
        scanned
            .ok()
            .and_then(Result::ok)
            .map(|found| found.clone())
            .ok_or_else(|| CatalogError::Scanning { within: FIRST_SCAN }.into())
    }

    /// What can be offered to others: this waits for the first scan, and gives what is known by then when that takes
    /// longer.
    pub async fn offered(&self) -> Result<Arc<Found>, Problem> {
        match self.scanned().await {
            Ok(found) => Ok(found),
            Err(problem) => Some(self.found()).filter(|found| !found.images.is_empty()).ok_or(problem),
        }
    }

    /// The document that every catalog server speaks.
    pub async fn catalog(&self) -> Result<Catalog, Problem> {
        let found = self.offered().await?;
        let generated_at = found.changed_at.clone();
        let entries = found.images.iter().map(|image| Entry::clone(&image.entry)).collect();
        Ok(Catalog {
            format: Catalog::FORMAT,
            name: self.0.name.as_str().into(),
            generated_at: generated_at.as_str().into(),
            entries,
        })
    }
}

impl Inner {
    /// Shows what the folders know, when it is something new. Each new problem is logged once.
    fn show(&self) {
        // One after the other, so that what is newer is never replaced by what is older.
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let revisions: Vec<_> = self.places.iter().map(|place| place.revision()).collect();
        if shown.replace(revisions.clone()) == Some(revisions) {
            return;
        }
        let found = Found::of(self.places.iter().map(|place| place.view()).collect(), clock::now());
        self.found.send_if_modified(|now| {
            let is_new = !now.is_same(&found);
            if is_new {
                for problem in found.problems.iter().filter(|problem| !now.problems.contains(problem)) {
                    report::problem(Level::Warn, problem, "an image file or a folder is left out");
                }
                *now = Arc::new(found);
            }
            is_new
        });
    }
}
