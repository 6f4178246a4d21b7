//! The merged catalog as the backend last sent it.

use std::sync::Arc;

use leptos::prelude::*;
use pixelrts_shared::catalog::{MergedCatalog, MergedEntry};
use pixelrts_shared::{Digest, paths};

use super::Index;
use crate::link::{retry, still_asking};
use crate::resource::Cached;
use crate::resource::store::Resource;

#[derive(Clone, Copy)]
pub(crate) struct Catalog {
    merged: Resource<MergedCatalog>,
    index: Memo<Index>,
}

impl Catalog {
    pub(crate) fn new() -> Self {
        let merged: Resource<MergedCatalog> = Resource::new(paths::CATALOG_REMOTE);
        Self { merged, index: Memo::new(move |before| Index::new(merged.value().as_deref(), before)) }
    }

    pub(crate) fn expect() -> Self {
        expect_context()
    }

    pub(crate) async fn recall(self) {
        self.merged.recall().await;
    }

    /// In the catalog's order.
    pub(crate) fn keys(self) -> Vec<Digest> {
        self.index.with(|index| index.keys().to_vec())
    }

    pub(crate) fn entry(self, key: &Digest) -> Option<Arc<MergedEntry>> {
        self.index.with(|index| index.get(key).map(Arc::clone))
    }

    pub(crate) fn name(self, key: &Digest) -> String {
        self.entry(key).map_or_else(|| key.short(), |entry| entry.entry.name.to_string())
    }

    /// Something is known, if only from an earlier visit.
    pub(crate) fn is_known(self) -> bool {
        self.merged.value().is_some()
    }

    /// When the backend last confirmed it, in milliseconds since 1970.
    pub(crate) fn confirmed_at(self) -> Option<u64> {
        self.merged.confirmed_at()
    }

    /// Asks until the servers that are being asked have answered, for at most half a minute.
    pub(crate) async fn revalidate(self) {
        let mut waits = still_asking();
        loop {
            self.merged.revalidate().await;
            let stale = self.merged.peek(|cached| matches!(cached, Cached::Fresh(known) if known.stale));
            if !stale || !retry::pause(&mut waits).await {
                break;
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn set(self, catalog: MergedCatalog) {
        self.merged.set(catalog);
    }
}
