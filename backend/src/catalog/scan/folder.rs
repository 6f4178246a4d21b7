//! What the threads of one folder share: what is known of it, and where that is kept.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::super::turns::Turns;
use super::LocalImage;
use super::known::{Fault, Seen};
use super::memory::Memory;
use super::progress::{GivenUp, Worker};
use super::state::{Sight, State};
use crate::files::FileIdentity;

#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    memory: Memory,
    turns: Turns,
    state: Mutex<State>,
}

impl Folder {
    pub(super) fn new(path: PathBuf, memory: Memory, turns: Turns) -> Self {
        Self { path, memory, turns, state: Mutex::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Adds what earlier starts have found, once.
    pub(super) fn remember(&self) {
        if !self.state().remembers {
            let rows = self.memory.load(&self.path);
            self.state().remember(rows);
        }
    }

    /// A pass has come to its end.
    pub(super) fn finish(&self, pass: (Worker, u64), sight: Sight) {
        let gone = self.state().finish(&self.path, pass, sight);
        self.memory.save(&[], &gone);
    }

    pub(super) fn reach(&self, worker: Worker, path: &Path) -> Result<(), GivenUp> {
        self.state().progress.reach(worker, path, Instant::now())
    }

    pub(super) fn hangs(&self, path: &Path) -> bool {
        self.state().progress.hangs(path)
    }

    /// A pass has found this file.
    pub(super) fn see(&self, path: &Path, identity: &FileIdentity, number: u64) -> Seen {
        self.state().see(path, identity, number)
    }

    /// A pass has read this file.
    pub(super) fn learn(&self, path: &Path, identity: FileIdentity, found: Result<LocalImage, Fault>, number: u64) {
        self.state().learn(path, identity, found.map(Arc::new), number);
    }

    /// Keeps what is known of these files for the next start.
    pub(super) fn save(&self, paths: &[PathBuf]) {
        let rows: Vec<_> = {
            let state = self.state();
            paths
                .iter()
                .filter_map(|path| {
                    state.files.get(path).map(|(identity, outcome)| (path.clone(), *identity, outcome.clone()))
                })
                .collect()
        };
        self.memory.save(&rows, &[]);
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic leaves at most a file that is read once more.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
