//! The entries that this page has. Each is kept as the text that the browser stores, and read when somebody looks at
//! it: of ten thousand images, a screen shows some dozens.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use pixelrts_shared::catalog::{CatalogServer, ListedEntry, MergedEntry};
use pixelrts_shared::server::Health;
use pixelrts_shared::{Digest, ServerId};

use crate::json;

/// Of a digest.
const DIGITS: usize = 64;

#[derive(Debug, Default)]
pub struct Held {
    /// As the backend last told them, in their order.
    servers: Arc<[CatalogServer]>,
    /// The same without their health, which changes all the time and is no part of an entry.
    described: Vec<CatalogServer>,
    rows: HashMap<Digest, Row>,
    /// In the order of the names, then of the digests.
    keys: Arc<[Digest]>,
    unreadable: AtomicBool,
}

#[derive(Debug)]
struct Row {
    /// The digest, the name, the end of the line, the JSON text. So what is stored can be put in order unread.
    line: Box<str>,
    name_ends: usize,
    /// What is shown, once it was read; `None` when it could not be.
    shown: OnceLock<Option<Arc<MergedEntry>>>,
}

/// What differs in what is said of the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Servers {
    Same,
    /// Only their health, which is no part of an entry.
    Health,
    Description,
}

impl Held {
    #[must_use]
    pub fn keys(&self) -> &Arc<[Digest]> {
        &self.keys
    }

    #[must_use]
    pub fn servers(&self) -> &Arc<[CatalogServer]> {
        &self.servers
    }

    #[must_use]
    pub fn name(&self, key: &Digest) -> Option<&str> {
        self.rows.get(key).map(Row::name)
    }

    /// The same object as long as nothing about the entry changes.
    #[must_use]
    pub fn entry(&self, key: &Digest) -> Option<Arc<MergedEntry>> {
        let row = self.rows.get(key)?;
        let shown = row.shown.get_or_init(|| {
            let listed: Option<ListedEntry> = json::read(row.json()).ok();
            if listed.is_none() {
                self.unreadable.store(true, Ordering::Relaxed);
            }
            listed.map(|listed| Arc::new(self.merged(&listed)))
        });
        shown.clone()
    }

    /// An entry as it is stored.
    #[must_use]
    pub fn line(&self, key: &Digest) -> Option<&str> {
        self.rows.get(key).map(|row| &*row.line)
    }

    /// A stored entry could not be read.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.unreadable.load(Ordering::Relaxed)
    }

    /// Takes over what an earlier visit stored.
    pub fn recall(&mut self, servers: Vec<CatalogServer>, lines: Vec<String>) {
        self.set_servers(servers);
        self.rows = lines.into_iter().filter_map(Row::stored).collect();
        self.sort();
    }

    /// Takes over the servers.
    pub fn set_servers(&mut self, servers: Vec<CatalogServer>) -> Servers {
        if *self.servers == *servers {
            return Servers::Same;
        }
        let described: Vec<_> =
            servers.iter().map(|server| CatalogServer { health: Health::default(), ..server.clone() }).collect();
        let before = std::mem::replace(&mut self.described, described);
        self.servers = servers.into();
        let ids = before.iter().chain(&self.described).map(|server| &server.id);
        let differ: HashSet<_> = ids.filter(|id| find(&before, id) != find(&self.described, id)).collect();
        if differ.is_empty() {
            return Servers::Health;
        }
        let has = |entry: &MergedEntry| entry.sources.iter().any(|source| differ.contains(&source.server));
        for row in self.rows.values_mut() {
            row.forget_if(has);
        }
        Servers::Description
    }

    /// Puts entries in, each in place of the one with the same digest, and takes others away. True when that changes
    /// anything; `differs` gets each entry that it changes.
    pub fn change(
        &mut self,
        put: Vec<ListedEntry>,
        removed: impl IntoIterator<Item = Digest>,
        mut differs: impl FnMut(Digest),
    ) -> bool {
        let (mut changed, mut order) = (false, false);
        for key in removed {
            if self.rows.remove(&key).is_some() {
                (changed, order) = (true, true);
                differs(key);
            }
        }
        for listed in put {
            let key = listed.entry.sha256;
            let row = Row::of(&listed);
            let before = self.rows.get(&key);
            if before.is_some_and(|before| before.line == row.line && !before.is_unreadable()) {
                continue;
            }
            order |= before.is_none_or(|before| before.name() != row.name());
            changed = true;
            _ = row.shown.set(Some(Arc::new(self.merged(&listed))));
            self.rows.insert(key, row);
            differs(key);
        }
        if order {
            self.sort();
        }
        changed
    }

    /// Everything is going to be read again.
    pub fn expect_all(&mut self) {
        self.unreadable.store(false, Ordering::Relaxed);
    }

    fn merged(&self, listed: &ListedEntry) -> MergedEntry {
        let mut entry = listed.merged(|id| find(&self.described, id));
        for (source, told) in entry.sources.iter_mut().zip(&listed.sources) {
            source.health.state = told.state.unwrap_or_default();
        }
        entry
    }

    fn sort(&mut self) {
        let mut named: Vec<_> = self.rows.iter().map(|(key, row)| (row.name(), *key)).collect();
        named.sort_unstable();
        self.keys = named.into_iter().map(|(_, key)| key).collect();
    }

    /// The entries of a catalog as a test made it.
    #[cfg(all(test, target_arch = "wasm32"))]
    pub(crate) fn show(&mut self, entries: Vec<MergedEntry>) {
        let row = |entry: MergedEntry| {
            let key = entry.entry.sha256;
            let mut row = Row::new(&key, &entry.entry.name, "");
            row.shown = OnceLock::from(Some(Arc::new(entry)));
            (key, row)
        };
        self.keys = entries.iter().map(|entry| entry.entry.sha256).collect();
        self.rows = entries.into_iter().map(row).collect();
    }
}

impl Row {
    fn new(key: &Digest, name: &str, json: &str) -> Self {
        let line = format!("{key}{name}\n{json}").into();
        Self { line, name_ends: DIGITS + name.len(), shown: OnceLock::new() }
    }

    /// Names are one line.
    fn stored(line: String) -> Option<(Digest, Self)> {
        let (key, name_ends) = (line.get(..DIGITS)?.parse().ok()?, line.find('\n')?);
        Some((key, Self { line: line.into(), name_ends, shown: OnceLock::new() }))
    }

    fn of(listed: &ListedEntry) -> Self {
        let json = serde_json::to_string(listed).unwrap_or_default();
        Self::new(&listed.entry.sha256, &listed.entry.name, &json)
    }

    fn name(&self) -> &str {
        &self.line[DIGITS..self.name_ends]
    }

    fn json(&self) -> &str {
        &self.line[self.name_ends + 1..]
    }

    fn is_unreadable(&self) -> bool {
        matches!(self.shown.get(), Some(None))
    }

    /// Forgets what was read when it is of this kind: it is read again when somebody looks at it.
    fn forget_if(&mut self, is: impl FnOnce(&MergedEntry) -> bool) {
        if self.shown.get().and_then(Option::as_deref).is_some_and(is) {
            self.shown = OnceLock::new();
        }
    }
}

fn find<'a>(servers: &'a [CatalogServer], id: &ServerId) -> Option<&'a CatalogServer> {
    servers.iter().find(|server| server.id == *id)
}

#[cfg(test)]
mod tests;
