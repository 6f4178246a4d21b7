//! The merged view, which `library` brings up to date whenever somebody looks at it.
//!
//! What it is made of is compared with what was there before (see `merge`), so that a look costs little when little has
//! changed.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use pixelrts_shared::catalog::Entry;
use pixelrts_shared::machine::Machine;
use pixelrts_shared::{Digest, EntryId};
use tokio::sync::{Notify, watch};

use super::merge::{Cached, Merged, Told};
use super::personal::Personal;
use super::{CheckedFile, read};
use crate::cache::{Listed, Store};
use crate::random;
use crate::task::blocking;

pub(super) type Machines = Box<dyn Fn() -> Vec<Machine> + Send + Sync>;

/// Clones share it.
#[derive(Clone)]
pub(super) struct View(Arc<Inner>);

struct Inner {
    merged: Mutex<Merged>,
    personal: Personal,
    machines: OnceLock<Machines>,
    /// What is known of the images of the cache without a catalog.
    told: Mutex<HashMap<Digest, Told>>,
    /// There are images of the cache that nobody has read yet.
    untold: Notify,
    /// Grows with changes that no other part reports.
    changes: watch::Sender<u64>,
}

impl View {
    pub(super) fn new(personal: Personal) -> Self {
        // It tells the view of this start from those of earlier ones. Without randomness, which never happens on a
        // computer that works, a page that was loaded before must be loaded again.
        let epoch = random::hex::<8>().unwrap_or_else(|_| "0".repeat(16));
        Self(Arc::new(Inner {
            merged: Mutex::new(Merged::new(epoch)),
            personal,
            machines: OnceLock::new(),
            told: Mutex::default(),
            untold: Notify::new(),
            changes: watch::Sender::new(0),
        }))
    }

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

    pub(super) fn personal(&self) -> &Personal {
        &self.0.personal
    }

    /// Something has changed that no other part reports.
    pub(super) fn has_changed(&self) {
        self.0.changes.send_modify(|n| *n += 1);
    }

    /// A number that grows with changes that no other part reports.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Reads what the images of the cache say of themselves, whenever something has changed there, until it is dropped.
    pub(super) async fn keep_told(&self, store: &Store) {
        let mut changes = store.changes();
        loop {
            changes.mark_unchanged();
            let (known, there) = (self.told().clone(), store.clone());
            let (new, gone) = blocking(move || told(&there, &known)).await;
            if !new.is_empty() || !gone.is_empty() {
                let mut told = self.told();
                told.extend(new);
                gone.iter().for_each(|digest| drop(told.remove(digest)));
                drop(told);
                self.has_changed();
            }
            tokio::select! {
                () = self.0.untold.notified() => {}
                // The store never goes as long as this holds it.
                _ = changes.changed() => {}
            }
        }
    }

    /// The images of the cache with what they say of themselves. Those that are new will be read.
    pub(super) fn cached(&self, digests: HashSet<Digest>) -> Cached {
        let mut told = self.told();
        told.retain(|digest, _| digests.contains(digest));
        if told.len() < digests.len() {
            self.0.untold.notify_one();
        }
        digests.into_iter().map(|digest| (digest, told.get(&digest).cloned())).collect()
    }

    fn told(&self) -> MutexGuard<'_, HashMap<Digest, Told>> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is new of images of the cache, and which have left it. This is no use of them.
fn told(store: &Store, known: &HashMap<Digest, Told>) -> (Vec<(Digest, Told)>, Vec<Digest>) {
    let (digests, mut listed) = (store.digests(), store.listed());
    let gone = known.keys().filter(|digest| !digests.contains(*digest)).copied().collect();
    let new = digests.into_iter().filter_map(|digest| {
        // The id by which a person knows it. The name of its file is only its digest.
        let listed = listed.remove(&digest).and_then(|listed| listed.into_iter().next());
        let told = match known.get(&digest) {
            Some(told) if told.by_itself => return renamed(told, listed?).map(|told| (digest, told)),
            Some(_) if store.peek(&digest).is_none() => return None,
            _ => told_by_itself(store, &digest),
        };
        let told = told.map(|own| Told { entry: Arc::new(own), by_itself: true });
        Some(match (told, listed) {
            (Some(told), Some(listed)) => (digest, renamed(&told, listed).unwrap_or(told)),
            (Some(told), None) => (digest, told),
            // Nothing more is to be read of it.
            (None, _) if known.contains_key(&digest) => return None,
            (None, listed) => {
                let entry = Arc::new(nameless(&digest, store.size(&digest), listed));
                (digest, Told { entry, by_itself: false })
            }
        })
    });
    (new.collect(), gone)
}

/// What a server calls an image, where that differs from what is known. Its own name comes first.
fn renamed(told: &Told, listed: Listed) -> Option<Told> {
    if told.entry.id == listed.id {
        return None;
    }
    let own = Entry::clone(&told.entry);
    let has_name = own.name.as_str() != own.sha256.to_string();
    let entry = Entry { id: listed.id, name: if has_name { own.name.clone() } else { listed.name }, ..own };
    Some(Told { entry: Arc::new(entry), by_itself: told.by_itself })
}

fn told_by_itself(store: &Store, digest: &Digest) -> Option<Entry> {
    let cached = store.peek(digest)?;
    match CheckedFile::open_cached(&cached).and_then(|file| read::entry(&file)) {
        Ok(entry) => Some(entry),
        Err(problem) => {
            tracing::debug!(image.digest = %digest, why = problem.why, "a cached image does not say what it is");
            None
        }
    }
}

/// An image that is not read before its bytes were hashed, or cannot be read.
fn nameless(digest: &Digest, size: u64, listed: Option<Listed>) -> Entry {
    let (id, name) = match listed {
        Some(Listed { id, name, .. }) => (id, name),
        None => (EntryId::from_name(&digest.to_string()), digest.to_string().into()),
    };
    Entry::bare(id, name, size, *digest)
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").finish_non_exhaustive()
    }
}
