//! What is known of one folder. It is locked for moments only, and never while the disk is asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use pixelrts_shared::Problem;

use super::super::error::CatalogError;
use super::LocalImage;
use super::known::{Fault, KnownFiles, Outcome, Seen};
use super::memory::Row;
use super::progress::{Hung, Next, Progress, Worker};
use crate::files::FileIdentity;

/// More problems than this are only counted, so that a folder full of broken files does not fill the health document.
pub(super) const MOST_PROBLEMS: usize = 50;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) progress: Progress,
    pub(super) files: KnownFiles,
    /// What earlier starts have found is among the files.
    pub(super) remembers: bool,
    /// Of the last pass that came to its end.
    faults: Vec<Problem>,
    /// The number of the last pass that was begun.
    begun: u64,
    /// A pass has come to its end.
    was_seen: bool,
    /// The folder was there once.
    was_there: bool,
    /// Grows with everything that somebody could see.
    pub(super) revision: u64,
}

/// What a pass has seen, besides the files themselves.
#[derive(Debug, Default)]
pub(super) struct Sight {
    /// What cannot be listed, or has a name that cannot be used.
    pub(super) faults: Vec<Problem>,
    /// Folders whose files could not be listed.
    pub(super) unlisted: Vec<PathBuf>,
    /// The folder was there.
    pub(super) is_there: bool,
}

/// What is in a folder now.
#[derive(Debug)]
pub(super) struct View {
    /// By path.
    pub(super) images: Vec<Arc<LocalImage>>,
    /// The first of them.
    pub(super) problems: Vec<Problem>,
    /// How many there are besides.
    pub(super) more_problems: usize,
    /// Everything that answers was looked at once.
    pub(super) is_settled: bool,
}

impl State {
    pub(super) fn remember(&mut self, rows: Vec<Row>) {
        for (path, identity, outcome) in rows {
            self.files.remember(path, identity, outcome);
        }
        self.remembers = true;
    }

    pub(super) fn watch(&mut self) -> Next {
        let next = self.progress.watch(Instant::now(), SystemTime::now());
        self.revision += u64::from(next == Next::Replace);
        next
    }

    /// A thread has ended. True when it was given up: what it touched answers again.
    pub(super) fn end(&mut self, worker: Worker) -> bool {
        self.revision += 1;
        self.progress.end(worker)
    }

    pub(super) fn see(&mut self, path: &Path, identity: &FileIdentity, pass: u64) -> Seen {
        self.revision += 1;
        self.files.see(path, identity, pass, Instant::now())
    }

    pub(super) fn learn(
        &mut self,
        path: &Path,
        identity: FileIdentity,
        read: Result<Arc<LocalImage>, Fault>,
        pass: u64,
    ) {
        let age = identity.changed.age(SystemTime::now());
        self.revision += 1;
        self.files.learn(path, identity, read, pass, (Instant::now(), age));
    }

    /// A new pass, unless one is under way or the folder hangs.
    pub(super) fn begin(&mut self, folder: &Path, now: Instant) -> Option<(Worker, u64)> {
        let worker = self.progress.start(folder, now)?;
        self.begun += 1;
        Some((worker, self.begun))
    }

    /// A pass has come to its end. Returns the files that are gone; none when its thread was given up.
    pub(super) fn finish(&mut self, folder: &Path, (worker, number): (Worker, u64), sight: Sight) -> Vec<PathBuf> {
        if self.progress.reach(worker, folder, Instant::now()).is_err() {
            return Vec::new();
        }
        let Self { files, progress, .. } = self;
        let is_unlisted =
            |path: &Path| progress.hangs(path) || sight.unlisted.iter().any(|folder| path.starts_with(folder));
        let gone = files.finish(number, is_unlisted);
        self.faults = sight.faults;
        if self.was_there && !sight.is_there && self.faults.is_empty() {
            self.faults.push(CatalogError::Gone { path: folder.to_owned() }.into());
        }
        self.was_there |= sight.is_there;
        self.was_seen = true;
        self.revision += 1;
        gone
    }

    /// No thread could be started.
    pub(super) fn fail(&mut self, worker: Worker, problem: Problem) {
        self.progress.end(worker);
        self.faults = vec![problem];
        self.was_seen = true;
        self.revision += 1;
    }

    pub(super) fn view(&self) -> View {
        let hung = self.progress.hung();
        let mut view = View {
            images: Vec::new(),
            problems: hung.iter().map(Hung::problem).collect(),
            more_problems: 0,
            is_settled: self.was_seen || !hung.is_empty() && self.progress.rests(),
        };
        let mut add = |problem: &Problem| match view.problems.len() < MOST_PROBLEMS {
            true => view.problems.push(problem.clone()),
            false => view.more_problems += 1,
        };
        self.faults.iter().for_each(&mut add);
        // What hangs cannot be read, and comes back by itself.
        for (_, outcome) in self.files.present().filter(|(path, _)| !self.progress.hangs(path)) {
            match outcome {
                Outcome::Image(image) => view.images.push(Arc::clone(image)),
                Outcome::Broken(problem) | Outcome::Unread { problem, .. } => add(problem),
                Outcome::Incomplete { .. } => {}
            }
        }
        view
    }

    /// Somebody may be writing a file.
    pub(super) fn waits(&self) -> bool {
        self.files.present().any(|(_, outcome)| matches!(outcome, Outcome::Incomplete { .. }))
    }
}
