//! The merged view, brought up to date whenever somebody looks at it.
//!
//! What it is made of is compared with what was there before (see `merge`), so that a look costs little when little has
//! changed.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use pixelrts_shared::catalog::{CatalogDelta, CatalogPage, Entry, MergedCatalog};
use pixelrts_shared::download::Download;
use pixelrts_shared::machine::Machine;
use pixelrts_shared::{Digest, Problem, ServerId};
use tokio::sync::{Notify, watch};

use super::merge::{Cursor, Inputs, Merged};
use super::scan::Found;
use super::{CheckedFile, Library, read};
use crate::cache::Store;
use crate::random;
use crate::task::blocking;

type Machines = Box<dyn Fn() -> Vec<Machine> + Send + Sync>;

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
    pub(super) fn machines(&self) -> Vec<Machine> {
        self.0.machines.get().map(|list| list()).unwrap_or_default()
    }

    /// The images of the cache with what they say of themselves. Those that are new will be read.
    fn cached(&self, digests: HashSet<Digest>) -> HashMap<Digest, Option<Arc<Entry>>> {
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

impl Library {
    /// Machines have a part in the status of their images. `list` gives all of them, in the order in which they were
    /// started; only the first call counts.
    pub fn watch_machines(&self, list: impl Fn() -> Vec<Machine> + Send + Sync + 'static) {
        // There is one fleet in a process.
        let _ = self.view.0.machines.set(Box::new(list));
    }

    /// Looks at the view as it is now.
    pub(super) fn look<T>(&self, at: impl FnOnce(&Merged) -> T) -> Result<T, Problem> {
        // It is held while the parts are gathered, so that no older ones follow newer ones.
        let mut merged = self.view.0.merged.lock().unwrap_or_else(PoisonError::into_inner);
        merged.update(Inputs {
            local: self.local.found(),
            servers: self.known_servers()?,
            cached: self.view.cached(self.store.digests()),
            downloads: self.downloads(),
            machines: self.view.machines(),
        });
        Ok(at(&merged))
    }

    /// All entries of this computer and of all enabled servers; from memory.
    pub fn merged(&self) -> Result<MergedCatalog, Problem> {
        self.look(Merged::whole)
    }

    /// All that the whole view depends on, in a few words: when it is the same, the view is.
    pub fn view_says(&self) -> Result<String, Problem> {
        self.look(Merged::says)
    }

    /// The whole view, and what [`view_says`](Self::view_says) of it.
    pub fn merged_and_says(&self) -> Result<(String, MergedCatalog), Problem> {
        self.look(|view| (view.says(), view.whole()))
    }

    /// The entries of one server, enabled or not, or of this computer.
    pub fn merged_of(&self, only: &ServerId) -> Result<MergedCatalog, Problem> {
        let local = if only.is_local() { self.local.found() } else { Arc::new(Found::default()) };
        let servers = if only.is_local() { Vec::new() } else { vec![self.remote.get()?.catalogs.known_server(only)?] };
        let mut merged = Merged::new(String::new());
        merged.update(Inputs {
            local,
            servers,
            cached: self.view.cached(self.store.digests()),
            downloads: self.downloads(),
            machines: self.view.machines(),
        });
        Ok(merged.whole())
    }

    /// At most `limit` entries behind a place, or the first ones.
    pub fn page(&self, limit: usize, after: Option<Cursor>) -> Result<CatalogPage, Problem> {
        self.look(|view| view.page(limit, after))
    }

    /// What has changed since a revision.
    pub fn since(&self, revision: &str) -> Result<CatalogDelta, Problem> {
        self.look(|view| view.since(revision))
    }

    /// A number that grows when the view has changed for a reason that no other part reports.
    #[must_use]
    pub fn view_changes(&self) -> watch::Receiver<u64> {
        self.view.0.changes.subscribe()
    }

    pub(super) fn downloads(&self) -> Vec<Download> {
        self.remote.get().map(|remote| remote.downloads.list()).unwrap_or_default()
    }

    /// Reads what the images of the cache say of themselves, whenever there are new ones, until it is dropped.
    pub async fn keep_told(self) {
        loop {
            let known: HashSet<_> = self.view.told().keys().copied().collect();
            let untold: Vec<_> = self.store.digests().into_iter().filter(|digest| !known.contains(digest)).collect();
            if untold.is_empty() {
                self.view.0.untold.notified().await;
                continue;
            }
            let store = self.store.clone();
            let read = move || untold.into_iter().map(|digest| (digest, told_by_itself(&store, &digest))).collect();
            let told: Vec<_> = blocking(read).await;
            self.view.told().extend(told);
            self.view.0.changes.send_modify(|n| *n += 1);
        }
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

/// Tells when something has changed of which entries are made.
pub(super) struct Changes {
    local: watch::Receiver<Arc<Found>>,
    servers: Option<watch::Receiver<u64>>,
}

impl Library {
    pub(super) fn changes(&self) -> Changes {
        let servers = self.remote.get().ok().map(|remote| remote.catalogs.changes());
        Changes { local: self.local.changes(), servers }
    }
}

impl Changes {
    /// What has happened so far counts as seen.
    pub(super) fn mark_unchanged(&mut self) {
        self.local.mark_unchanged();
        self.servers.iter_mut().for_each(watch::Receiver::mark_unchanged);
    }

    pub(super) async fn changed(&mut self) {
        let servers = async {
            match &mut self.servers {
                Some(servers) => drop(servers.changed().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.local.changed() => {}
            () = servers => {}
        }
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").finish_non_exhaustive()
    }
}
