//! Downloads as the backend reports them.

use std::collections::HashSet;

use gloo_net::http::Method;
use leptos::prelude::*;
use leptos::task::spawn_local;
use pixelrts_shared::download::{Download, DownloadStage};
use pixelrts_shared::{Digest, DownloadId, paths};

use crate::catalog::store::Catalog;
use crate::client;

#[derive(Clone, Copy)]
pub(crate) struct Downloads {
    list: RwSignal<Vec<Download>>,
    /// Finished ones that the person has seen.
    cleared: RwSignal<HashSet<DownloadId>>,
    pub(crate) tray: RwSignal<bool>,
    catalog: Catalog,
}

impl Downloads {
    pub(crate) fn new(catalog: Catalog) -> Self {
        Self {
            list: RwSignal::new(Vec::new()),
            cleared: RwSignal::new(HashSet::new()),
            tray: RwSignal::new(false),
            catalog,
        }
    }

    pub(crate) fn of(self, key: &Digest) -> Option<Download> {
        self.list.with(|list| list.iter().find(|download| download.key == *key).cloned())
    }

    pub(crate) fn get(self, id: &DownloadId) -> Option<Download> {
        self.list.with(|list| list.iter().find(|download| download.id == *id).cloned())
    }

    /// What the tray lists.
    pub(crate) fn shown(self) -> Vec<DownloadId> {
        let cleared = self.cleared.get();
        let shown = |download: &&Download| !(download.stage.is_over() && cleared.contains(&download.id));
        self.list.with(|list| list.iter().filter(shown).map(|download| download.id.clone()).collect())
    }

    /// How many are under way, and their bytes per second together.
    pub(crate) fn under_way(self) -> (usize, u64) {
        self.list.with(|list| {
            let active = list.iter().filter(|download| !download.stage.is_over());
            active.fold((0, 0), |(count, rate), download| (count + 1, rate + download.bytes_per_second.unwrap_or(0)))
        })
    }

    pub(crate) fn active(self) -> Vec<Download> {
        self.list.with(|list| list.iter().filter(|download| !download.stage.is_over()).cloned().collect())
    }

    /// Takes news of some downloads.
    pub(crate) fn accept(self, news: Vec<Download>) {
        let before = |id: &DownloadId| {
            self.list.with_untracked(|list| list.iter().find(|held| held.id == *id).map(|held| held.stage))
        };
        let arrived = news.iter().any(|download| {
            download.stage == DownloadStage::Cached && before(&download.id) != Some(DownloadStage::Cached)
        });
        let known: Vec<Download> = self.list.get_untracked();
        let mut list = known.clone();
        for download in news {
            match list.iter_mut().find(|held| held.id == download.id) {
                Some(held) => *held = download,
                None => list.push(download),
            }
        }
        if list != known {
            self.list.set(list);
        }
        if arrived {
            spawn_local(self.catalog.revalidate());
        }
    }

    pub(crate) fn cancel(self, id: DownloadId) {
        spawn_local(async move {
            if let Err(problem) = client::tell(Method::DELETE, &paths::download(&id)).await
                && let Some(download) = untrack(|| self.get(&id))
            {
                self.catalog.fail(download.key, problem);
            }
        });
    }

    pub(crate) fn clear_finished(self) {
        let over = self.list.with_untracked(|list| {
            list.iter().filter(|download| download.stage.is_over()).map(|download| download.id.clone()).collect()
        });
        self.cleared.set(over);
    }
}
