//! One look through a folder: its files and those of its direct subfolders, in the order of their paths.
//!
//! This runs on a thread that may hang at any system call. So it says which path it is about to touch, and it holds no
//! lock meanwhile.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pixelrts_shared::Problem;
use tokio_util::sync::CancellationToken;

use super::super::error::{CatalogError, shown};
use super::super::image_ref::is_image_name;
use super::super::read::{self, Unfit};
use super::LocalImage;
use super::folder::Folder;
use super::known::{Fault, Seen};
use super::progress::{GivenUp, Worker};
use super::state::Sight;
use crate::files::FileIdentity;
use crate::image::ImageError;

/// A folder with more images than this is not read to its end, so that it cannot use up the memory.
const MOST_FILES: usize = 100_000;
/// Only some of the faults are shown.
const MOST_FAULTS: usize = 1_000;
/// What was found is kept in the database after so many files, or after so long.
const KEEP_AFTER: (usize, Duration) = (500, Duration::from_secs(5));

/// Why a pass ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Another thread does its work.
    GivenUp,
    /// Nobody wants its result.
    Cancelled,
}

impl From<GivenUp> for Stop {
    fn from(_: GivenUp) -> Self {
        Self::GivenUp
    }
}

#[derive(Debug)]
pub(super) struct Pass<'a> {
    folder: &'a Folder,
    worker: Worker,
    number: u64,
    token: &'a CancellationToken,
    sight: Sight,
    /// Files that are not in the database yet, and when it was written last.
    unsaved: Vec<PathBuf>,
    saved: Instant,
}

/// A file that a folder lists.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Listed {
    path: PathBuf,
    /// What hangs when asking for this file hangs: the folder, or only a link that may lead anywhere.
    link: bool,
}

impl<'a> Pass<'a> {
    pub(super) fn new(folder: &'a Folder, (worker, number): (Worker, u64), token: &'a CancellationToken) -> Self {
        let (sight, unsaved, saved) = (Sight::default(), Vec::new(), Instant::now());
        Self { folder, worker, number, token, sight, unsaved, saved }
    }

    /// Looks at everything. What was found so far is kept, also when it ends early.
    pub(super) fn run(mut self) -> Result<Sight, Stop> {
        let done = self.look();
        self.folder.save(&self.unsaved);
        done.map(|()| self.sight)
    }

    fn look(&mut self) -> Result<(), Stop> {
        let folder = self.folder.path().to_owned();
        let mut files = BTreeSet::new();
        for folder in self.list(&folder, &mut files)? {
            self.list(&folder, &mut files)?;
        }
        for file in files {
            self.file(&file)?;
        }
        Ok(())
    }

    /// Adds the images of a folder to `files`, and returns its subfolders.
    fn list(&mut self, folder: &Path, files: &mut BTreeSet<Listed>) -> Result<Vec<PathBuf>, Stop> {
        let mut folders = Vec::new();
        if self.folder.hangs(folder) {
            return Ok(folders);
        }
        self.reach(folder)?;
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.unlisted(folder, error);
                return Ok(folders);
            }
        };
        self.sight.is_there = true;
        for entry in entries {
            self.reach(folder)?;
            match entry {
                Ok(entry) if files.len() < MOST_FILES => self.sort(&entry, &mut folders, files)?,
                Ok(_) => {
                    self.fault(CatalogError::TooMany { path: folder.to_owned(), most: MOST_FILES });
                    break;
                }
                Err(error) => {
                    self.unlisted(folder, error);
                    break;
                }
            }
        }
        folders.sort();
        Ok(folders)
    }

    /// Decides what an entry of a folder is: an image, a folder, or nothing.
    fn sort(&mut self, entry: &DirEntry, folders: &mut Vec<PathBuf>, files: &mut BTreeSet<Listed>) -> Result<(), Stop> {
        // Usually the folder itself says it. If the entry has gone meanwhile, it is nothing.
        let Ok(kind) = entry.file_type() else { return Ok(()) };
        let (name, path) = (entry.file_name(), entry.path());
        let is_image = is_image_name(&name);
        if kind.is_dir() {
            folders.push(path);
        } else if is_image && path.to_str().is_none() {
            self.fault(CatalogError::Name { path });
        } else if is_image {
            files.insert(Listed { path, link: kind.is_symlink() });
        } else if kind.is_symlink() && !self.folder.hangs(&path) {
            self.reach(&path)?;
            if path.is_dir() {
                folders.push(path);
            }
        }
        Ok(())
    }

    fn file(&mut self, Listed { path, link }: &Listed) -> Result<(), Stop> {
        if self.folder.hangs(path) {
            return Ok(());
        }
        self.reach(if *link { path } else { path.parent().unwrap_or(path) })?;
        let found = match fs::metadata(path) {
            Ok(found) if found.is_file() => found,
            Ok(found) if found.is_dir() => return Ok(()),
            Ok(_) => {
                self.fault(CatalogError::NoFile { path: path.clone() });
                return Ok(());
            }
            // It was removed since the folder was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !link => return Ok(()),
            Err(error) => {
                self.fault(CatalogError::Unreadable { path: path.clone(), error });
                return Ok(());
            }
        };
        match self.folder.see(path, &FileIdentity::of(&found), self.number) {
            Seen::Known => Ok(()),
            Seen::Unknown => self.read(path),
        }
    }

    fn read(&mut self, path: &Path) -> Result<(), Stop> {
        // From here on the file itself is to blame. A thread that is given up reads it to its end nevertheless: a file
        // that is slow to read would otherwise never be known.
        self.reach(path)?;
        let read = read::file(path, self.folder.turns(), &mut || {
            let _ = self.reach(path);
            !self.token.is_cancelled()
        });
        if self.token.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        match read {
            Ok((identity, found)) => {
                let image = |entry| LocalImage { path: path.to_owned(), entry: Arc::new(entry), identity };
                let found = found.map(image).map_err(|unfit| fault(path, unfit));
                self.folder.learn(path, identity, found, self.number);
                self.unsaved.push(path.to_owned());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.fault(CatalogError::Unreadable { path: path.to_owned(), error }),
        }
        if self.unsaved.len() >= KEEP_AFTER.0 || self.saved.elapsed() >= KEEP_AFTER.1 {
            self.folder.save(&std::mem::take(&mut self.unsaved));
            self.saved = Instant::now();
        }
        Ok(())
    }

    fn reach(&self, path: &Path) -> Result<(), Stop> {
        if self.token.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        Ok(self.folder.reach(self.worker, path)?)
    }

    fn unlisted(&mut self, folder: &Path, error: io::Error) {
        // A folder that is not there holds nothing.
        if error.kind() == io::ErrorKind::NotFound {
            return;
        }
        self.sight.unlisted.push(folder.to_owned());
        self.fault(CatalogError::Unreadable { path: folder.to_owned(), error });
    }

    fn fault(&mut self, error: CatalogError) {
        if self.sight.faults.len() < MOST_FAULTS {
            self.sight.faults.push(error.into());
        }
    }
}

/// What a file without an entry says about itself.
fn fault(path: &Path, unfit: Unfit) -> Fault {
    let path = path.to_owned();
    match unfit {
        Unfit::Stopped | Unfit::Changed => Fault::End(CatalogError::Changing { path }.into()),
        Unfit::Image(ImageError::Io(error)) => Fault::System(CatalogError::Unreadable { path, error }.into()),
        Unfit::Image(error) => {
            let is_incomplete = error.is_of_an_incomplete_file();
            let problem = Problem::from(error).context(shown(&path));
            if is_incomplete { Fault::End(problem) } else { Fault::Bytes(problem) }
        }
    }
}
