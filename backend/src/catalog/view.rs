//! The merged view, which `library` brings up to date whenever somebody looks at it.
//!
//! What it is made of is compared with what was there before (see `merge`), so that a look costs little when little has
//! changed.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use pixelrts_shared::Digest;
use pixelrts_shared::catalog::Entry;
use pixelrts_shared::machine::Machine;
use tokio::sync::{Notify, watch};

use super::merge::Merged;
use super::{CheckedFile, read};
use crate::cache::Store;
use crate::random;
use crate::task::blocking;

pub(super) type Machines = Box<dyn Fn() -> Vec<Machine> + Send + Sync>;

/// Clones share it.
#[derive(Clone)]
pub(super) struct View(Arc<Inner>);

struct Inner {
    merged: Mutex<Merged>,
    machines: OnceLock<Machines>,
    /// What the images of the cache say of themselves; `None`: that cannot be read.
    told: Mutex<HashMap<Digest, Option<Arc<Entry>>>>,
    /// There are images of the cache that nobody has read yet.
    untold: Notify,
    /// Grows when images of the cache were read.
    changes: watch::Sender<u64>,
}

impl Default for View {
    fn default() -> Self {
        // It tells the view of this start from those of earlier ones. Without randomness, which never happens on a
        // computer that works, a page that was loaded before must be loaded again.
        let epoch = random::hex::<8>().unwrap_or_else(|_| "0".repeat(16));
        Self(Arc::new(Inner {
            merged: Mutex::new(Merged::new(epoch)),
            machines: OnceLock::new(),
            told: Mutex::default(),
            untold: Notify::new(),
            changes: watch::Sender::new(0),
        }))
    }
}

impl View {
    /// Only the first call counts.
    pub(super) fn watch_machines(&self, list: Machines) {
        // There is one fleet in a process.
        let _ = self.0.machines.set(list);
    }

    pub(super) fn machines(&self) -> Vec<Machine> {
        self.0.machines.get().map(|list| list()).unwrap_or_default()
    }

    /// As it was when somebody looked last.
    pub(super) fn merged(&self) -> MutexGuard<'_, Merged> {
        self.0.merged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that grows when images of the cache were read.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Reads what the images of the cache say of themselves, whenever there are new ones, until it is dropped.
    pub(super) async fn keep_told(&self, store: &Store) {
        loop {
            let known: HashSet<_> = self.told().keys().copied().collect();
            let untold: Vec<_> = store.digests().into_iter().filter(|digest| !known.contains(digest)).collect();
            if untold.is_empty() {
                self.0.untold.notified().await;
                continue;
            }
            let store = store.clone();
            let read = move || untold.into_iter().map(|digest| (digest, told_by_itself(&store, &digest))).collect();
            let told: Vec<_> = blocking(read).await;
            self.told().extend(told);
            self.0.changes.send_modify(|n| *n += 1);
        }
    }

    /// The images of the cache with what they say of themselves. Those that are new will be read.
    pub(super) fn cached(&self, digests: HashSet<Digest>) -> HashMap<Digest, Option<Arc<Entry>>> {
        let mut told = self.told();
        told.retain(|digest, _| digests.contains(digest));
        if told.len() < digests.len() {
            self.0.untold.notify_one();
        }
        digests.into_iter().map(|digest| (digest, told.get(&digest).cloned().flatten())).collect()
    }

    fn told(&self) -> MutexGuard<'_, HashMap<Digest, Option<Arc<Entry>>>> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an image of the cache says of itself. This is no use of the image.
fn told_by_itself(store: &Store, digest: &Digest) -> Option<Arc<Entry>> {
    let cached = store.peek(digest)?;
    match CheckedFile::open_cached(&cached).and_then(|file| read::entry(&file)) {
        Ok(entry) => Some(Arc::new(entry)),
        Err(problem) => {
            tracing::debug!(image.digest = %digest, why = problem.why, "a cached image does not say what it is");
            None
        }
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").finish_non_exhaustive()
    }
}
