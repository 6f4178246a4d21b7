//! The merged catalog, and what went wrong with which image.

use std::collections::HashMap;
use std::sync::Arc;

use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use pixelrts_shared::catalog::{MergedCatalog, MergedEntry};
use pixelrts_shared::{Digest, Problem, paths};

use crate::link::wait_ms;
use crate::swr::Cached;
use crate::swr::hook::Resource;

type Index = HashMap<Digest, Arc<MergedEntry>>;

#[derive(Clone, Copy)]
pub(crate) struct Catalog {
    pub(crate) merged: Resource<MergedCatalog>,
    /// In the catalog's order.
    keys: Memo<Vec<Digest>>,
    index: Memo<Arc<Index>>,
    problems: RwSignal<HashMap<Digest, Problem>>,
}

impl Catalog {
    pub(crate) fn new() -> Self {
        let merged: Resource<MergedCatalog> = Resource::new(paths::CATALOG_REMOTE);
        Self {
            merged,
            keys: Memo::new(move |_| {
                merged
                    .value()
                    .map(|known| known.entries.iter().map(|entry| entry.entry.sha256).collect())
                    .unwrap_or_default()
            }),
            index: Memo::new(move |_| {
                let known = merged.value();
                let entries = known.iter().flat_map(|known| &known.entries);
                Arc::new(entries.map(|entry| (entry.entry.sha256, Arc::new(entry.clone()))).collect())
            }),
            problems: RwSignal::new(HashMap::new()),
        }
    }

    pub(crate) fn keys(self) -> Vec<Digest> {
        self.keys.get()
    }

    pub(crate) fn entry(self, key: &Digest) -> Option<Arc<MergedEntry>> {
        self.index.with(|index| index.get(key).map(Arc::clone))
    }

    pub(crate) fn name(self, key: &Digest) -> String {
        self.entry(key).map_or_else(|| key.short(), |entry| entry.entry.name.clone())
    }

    pub(crate) fn problem(self, key: &Digest) -> Option<Problem> {
        self.problems.with(|problems| problems.get(key).cloned())
    }

    pub(crate) fn fail(self, key: Digest, problem: Problem) {
        self.problems.update(|problems| {
            problems.insert(key, problem);
        });
    }

    pub(crate) fn forgive(self, key: &Digest) {
        if self.problems.with_untracked(|problems| problems.contains_key(key)) {
            self.problems.update(|problems| {
                problems.remove(key);
            });
        }
    }

    /// Asks until servers that are being asked have answered, at most for half a minute.
    pub(crate) async fn revalidate(self) {
        for attempt in 0..7 {
            self.merged.revalidate().await;
            if !self.merged.peek(|cached| matches!(cached, Cached::Fresh(known) if known.stale)) {
                break;
            }
            TimeoutFuture::new(wait_ms(attempt)).await;
        }
    }
}
