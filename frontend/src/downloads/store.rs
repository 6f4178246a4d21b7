//! Downloads as the backend reports them, and the requests to cancel them.

use gloo_net::http::Method;
use leptos::prelude::*;
use leptos::task::spawn_local;
use pixelrts_shared::download::{Download, NewDownload};
use pixelrts_shared::{Digest, DownloadId, paths};

use super::list::{DownloadList, UnderWay};
use crate::client;
use crate::failures::store::Failures;

#[derive(Clone, Copy)]
pub(crate) struct Downloads {
    list: RwSignal<DownloadList>,
    failures: Failures,
    /// Called when an image is complete.
    on_arrival: Callback<()>,
}

impl Downloads {
    pub(crate) fn new(failures: Failures, on_arrival: Callback<()>) -> Self {
        Self { list: RwSignal::new(DownloadList::default()), failures, on_arrival }
    }

    pub(crate) fn expect() -> Self {
        expect_context()
    }

    pub(crate) fn of(self, key: &Digest) -> Option<Download> {
        self.list.with(|list| list.of(key).cloned())
    }

    /// The images of all downloads.
    pub(crate) fn keys(self) -> Vec<Digest> {
        self.list.with(|list| list.iter().map(|download| download.key).collect())
    }

    pub(crate) fn get(self, id: &DownloadId) -> Option<Download> {
        self.list.with(|list| list.get(id).cloned())
    }

    /// What the tray lists.
    pub(crate) fn shown(self) -> Vec<DownloadId> {
        self.list.with(DownloadList::shown)
    }

    pub(crate) fn under_way(self) -> UnderWay {
        self.list.with(DownloadList::under_way)
    }

    /// The images of downloads that are under way.
    pub(crate) fn active(self) -> Vec<Digest> {
        self.list.with(|list| list.active().map(|download| download.key).collect())
    }

    /// Takes an update of some downloads.
    pub(crate) fn accept(self, news: Vec<Download>) {
        let accepted = self.list.try_maybe_update(|list| {
            let accepted = list.accept(news);
            (accepted.changed, accepted)
        });
        if accepted.is_some_and(|accepted| accepted.arrived) {
            self.on_arrival.run(());
        }
    }

    /// Fetches an image without booting it.
    pub(crate) fn fetch(self, key: Digest) {
        self.failures.forget(&key);
        spawn_local(async move {
            let download = NewDownload { key: key.to_string(), server: None, follow: false };
            match client::send::<Download>(Method::POST, paths::DOWNLOADS, &download).await {
                Ok(download) => self.accept(vec![download]),
                Err(problem) => self.failures.record(key, problem),
            }
        });
    }

    pub(crate) fn cancel(self, id: DownloadId) {
        spawn_local(async move {
            if let Err(problem) = client::command(Method::DELETE, &paths::download(&id)).await
                && let Some(download) = untrack(|| self.get(&id))
            {
                self.failures.record(download.key, problem);
            }
        });
    }

    pub(crate) fn clear_finished(self) {
        self.list.update(DownloadList::clear_finished);
    }
}
