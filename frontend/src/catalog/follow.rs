//! Follows the merged catalog of the backend: the first time in pages, then by what has changed since a revision. What
//! is asked next, and what a reply changes, is decided here; `store` asks.

use std::collections::HashSet;

use pixelrts_shared::catalog::{CatalogDelta, CatalogPage, CatalogServer};
use pixelrts_shared::{Digest, paths};

use super::held::{Held, Servers};
use super::kept::{Unwritten, Write};
use crate::words;

/// How many entries a page has: reading one does not hold up the page on the screen.
const PAGE: usize = 500;
/// How often the first page is asked for in one round, with a backend that never can tell what has changed.
const MOST_BEGINNINGS: u8 = 2;

#[derive(Debug, Default)]
pub struct Follower {
    held: Held,
    place: Place,
    unwritten: Unwritten,
    known: bool,
    /// How often this round has begun with the first page.
    beginnings: u8,
}

#[derive(Clone, Debug, Default, PartialEq)]
enum Place {
    /// There is nothing to go on from.
    #[default]
    Start,
    /// Pages are being read, of which the first one had this revision. Without a next one, what has changed meanwhile
    /// is asked for. `unseen` are entries that were on none of the pages yet.
    Pages { revision: String, next: Option<String>, unseen: HashSet<Digest> },
    /// What is held is what the backend had at this revision.
    At(String),
}

/// What to ask the backend for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    Page { after: Option<String> },
    Since(String),
}

impl Ask {
    #[must_use]
    pub fn path(&self) -> String {
        let base = paths::CATALOG_REMOTE;
        match self {
            Self::Page { after: None } => format!("{base}?limit={PAGE}"),
            Self::Page { after: Some(next) } => format!("{base}?limit={PAGE}&after={}", words::in_query(next)),
            Self::Since(revision) => format!("{base}?since={}", words::in_query(revision)),
        }
    }
}

/// What a reply changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub entries: bool,
    pub servers: bool,
    pub next: Next,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    AskAgain,
    /// What is held is what the backend has. `stale`: it is asking its servers, so that this may change soon.
    Done {
        stale: bool,
    },
    /// The backend cannot tell what it has: try again later.
    Later,
}

impl Step {
    fn new(entries: bool, servers: Servers, next: Next) -> Self {
        Self { entries: entries || servers == Servers::Description, servers: servers != Servers::Same, next }
    }
}

impl Follower {
    #[must_use]
    pub fn held(&self) -> &Held {
        &self.held
    }

    /// Something is known, if only from an earlier visit.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// Takes over what an earlier visit stored, or another page of this browser. What the backend has said meanwhile is
    /// newer: then only the revision counts, for what is written. True when the entries are taken over.
    pub fn recall(&mut self, revision: String, servers: Vec<CatalogServer>, lines: Vec<String>) -> bool {
        let first = !self.known && self.place == Place::Start;
        self.unwritten.recalled(&revision, first);
        if first {
            self.held.recall(servers, lines);
            (self.place, self.known) = (Place::At(revision), true);
        }
        first
    }

    /// A round begins: until `Next` says something else than to ask again.
    pub fn begin_round(&mut self) {
        self.beginnings = 0;
    }

    #[must_use]
    pub fn ask(&mut self) -> Ask {
        if self.held.is_unreadable() {
            self.held.expect_all();
            self.begin_anew();
        }
        match &self.place {
            Place::Start => {
                self.beginnings += 1;
                Ask::Page { after: None }
            }
            Place::Pages { next: Some(next), .. } => Ask::Page { after: Some(next.clone()) },
            Place::Pages { revision, next: None, .. } | Place::At(revision) => Ask::Since(revision.clone()),
        }
    }

    /// Nothing that was asked for can be told.
    pub fn begin_anew(&mut self) {
        self.place = Place::Start;
        self.unwritten.leap();
    }

    pub fn take_page(&mut self, page: CatalogPage) -> Step {
        let CatalogPage { revision, servers, entries, next, .. } = page;
        let (revision, mut unseen) = match std::mem::replace(&mut self.place, Place::Start) {
            Place::Pages { revision, unseen, .. } => (revision, unseen),
            Place::Start | Place::At(_) => {
                self.unwritten.leap();
                (revision, self.held.keys().iter().copied().collect())
            }
        };
        self.known = true;
        let servers = if servers.is_empty() { Servers::Same } else { self.held.set_servers(servers) };
        // Pages without entries would never end.
        let ends = entries.is_empty() && next.is_some();
        for entry in &entries {
            unseen.remove(&entry.entry.sha256);
        }
        let changed = self.held.change(entries, [], |key| self.unwritten.touch(key));
        if ends {
            self.begin_anew();
            return Step::new(changed, servers, Next::Later);
        }
        self.place = Place::Pages { revision, next, unseen };
        Step::new(changed, servers, Next::AskAgain)
    }

    pub fn take_delta(&mut self, delta: CatalogDelta) -> Step {
        let CatalogDelta { revision, stale, full, servers, changed, removed, .. } = delta;
        if full {
            self.begin_anew();
            let next = if self.beginnings < MOST_BEGINNINGS { Next::AskAgain } else { Next::Later };
            return Step::new(false, Servers::Same, next);
        }
        let mut gone: HashSet<_> = match std::mem::replace(&mut self.place, Place::At(revision.clone())) {
            Place::Pages { unseen, .. } => unseen,
            Place::Start | Place::At(_) => HashSet::new(),
        };
        // What was changed and changed back is told too: what is stored may be from between the two.
        for key in changed.iter().map(|entry| &entry.entry.sha256).chain(&removed) {
            self.unwritten.touch(*key);
            gone.remove(key);
        }
        gone.extend(removed);
        let servers = self.held.set_servers(servers);
        let entries = self.held.change(changed, gone, |key| self.unwritten.touch(key));
        self.unwritten.arrive(&revision);
        Step::new(entries, servers, Next::Done { stale })
    }

    /// What is to be written, where this revision is stored now. Whether it was written is told to
    /// [`written`](Self::written).
    pub fn to_write(&mut self, stored: Option<&str>) -> Option<Write> {
        let Place::At(revision) = &self.place else { return None };
        self.unwritten.plan(stored, revision, &self.held)
    }

    pub fn written(&mut self, revision: Option<&str>) {
        self.unwritten.written(revision);
    }

    #[cfg(all(test, target_arch = "wasm32"))]
    pub(crate) fn show(&mut self, entries: Vec<pixelrts_shared::catalog::MergedEntry>) {
        self.held.show(entries);
        self.known = true;
    }
}

#[cfg(test)]
mod tests;
