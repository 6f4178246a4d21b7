//! What the cache holds, and the requests that change it.

use std::sync::Arc;

use gloo_net::http::Method;
use leptos::prelude::*;
use leptos::task::spawn_local;
use pixelrts_shared::cache::CacheContents;
use pixelrts_shared::{Digest, Problem, paths};

use super::Held;
use crate::client;
use crate::resource::store::Resource;

/// Read when a view of it opens, and again after each change.
#[derive(Clone, Copy)]
pub(crate) struct Cache {
    contents: Resource<CacheContents>,
    /// Why the last request failed.
    problem: RwSignal<Option<Problem>>,
    /// A request is under way.
    busy: RwSignal<bool>,
    /// Called when images have come or gone.
    on_change: Callback<()>,
}

impl Cache {
    pub(crate) fn new(on_change: Callback<()>) -> Self {
        Self {
            contents: Resource::new(paths::CACHE),
            problem: RwSignal::new(None),
            busy: RwSignal::new(false),
            on_change,
        }
    }

    pub(crate) fn expect() -> Self {
        expect_context()
    }

    pub(crate) fn contents(self) -> Option<Arc<CacheContents>> {
        self.contents.value()
    }

    /// What of this image is held; `None` until the backend has answered.
    pub(crate) fn held(self, key: &Digest) -> Option<Held> {
        self.contents().map(|contents| Held::of(&contents, key))
    }

    pub(crate) fn problem(self) -> Option<Problem> {
        self.problem.get()
    }

    pub(crate) fn is_busy(self) -> bool {
        self.busy.get()
    }

    pub(crate) fn read(self) {
        spawn_local(async move { self.contents.revalidate().await });
    }

    pub(crate) fn pin(self, key: &Digest, pinned: bool) {
        self.change(if pinned { Method::PUT } else { Method::DELETE }, paths::cached_pin(key));
    }

    /// Removes an image, or what has arrived of it.
    pub(crate) fn remove(self, key: &Digest) {
        self.change(Method::DELETE, paths::cached(key));
    }

    /// Removes everything that is neither pinned nor in use.
    pub(crate) fn clear(self) {
        self.change(Method::DELETE, paths::CACHE.to_owned());
    }

    fn change(self, method: Method, path: String) {
        self.busy.set(true);
        self.problem.set(None);
        spawn_local(async move {
            self.problem.set(client::command(method, &path).await.err());
            self.contents.revalidate().await;
            self.busy.set(false);
            self.on_change.run(());
        });
    }

    #[cfg(test)]
    pub(crate) fn set(self, contents: CacheContents) {
        self.contents.set(contents);
    }
}
