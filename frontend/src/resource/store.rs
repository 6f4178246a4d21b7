//! One resource of the backend: painted from the browser's storage, then requested, then stored.

use std::sync::Arc;

use leptos::prelude::*;
use pixelrts_shared::Problem;
use serde::de::DeserializeOwned;
use wasm_bindgen_futures::spawn_local;

use super::turns::Turns;
use super::{Cached, Reply};
use crate::client::Conditional;
use crate::{client, json, storage};

pub(crate) struct Resource<T: Send + Sync + 'static> {
    cached: RwSignal<Cached<Arc<T>>>,
    exchange: Exchange,
}

impl<T: Send + Sync + 'static> Clone for Resource<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for Resource<T> {}

impl<T: DeserializeOwned + PartialEq + Send + Sync + 'static> Resource<T> {
    pub(crate) fn new(path: &'static str) -> Self {
        Self { cached: RwSignal::new(Cached::Empty), exchange: Exchange::new(path) }
    }

    pub(crate) fn value(self) -> Option<Arc<T>> {
        self.cached.with(|cached| cached.value().map(Arc::clone))
    }

    #[cfg(test)]
    fn peek<R>(self, look: impl FnOnce(&Cached<Arc<T>>) -> R) -> R {
        self.cached.with_untracked(look)
    }

    /// Reads what an earlier visit left behind.
    pub(crate) async fn recall(self) {
        let take = |text: &str| json::read(text).map(|value| self.cached.set(Cached::Stale(Arc::new(value)))).is_ok();
        self.exchange.recall(&take).await;
    }

    /// Asks the backend. Calls that come while a request is under way lead to one more request, not to many.
    pub(crate) async fn revalidate(self) {
        self.exchange.revalidate(&|reply| self.take(reply)).await;
    }

    fn take(self, reply: NewText<'_>) -> Taken {
        let reply = match reply.and_then(|text| text.map(client::decode).transpose()) {
            Ok(None) => Reply::Unchanged,
            Ok(Some(value)) => Reply::New(Arc::new(value)),
            Err(problem) => Reply::Failed(problem),
        };
        let answered = !matches!(reply, Reply::Failed(_));
        let next = self.cached.with_untracked(|cached| cached.after(reply));
        let changed = next.is_some();
        if let Some(next) = next {
            self.cached.set(next);
        }
        match (answered, changed) {
            (false, _) => Taken::Failed,
            (true, false) => Taken::Same,
            (true, true) => Taken::Changed,
        }
    }

    #[cfg(test)]
    pub(crate) fn set(self, value: T) {
        self.cached.set(Cached::Fresh(Arc::new(value)));
    }
}

/// The text of a reply, or `None` when it says that the value is unchanged.
type NewText<'a> = Result<Option<&'a str>, Problem>;

/// What a reply was for the value.
#[derive(Clone, Copy, PartialEq)]
enum Taken {
    Failed,
    Same,
    Changed,
}

/// All of a resource but its value. It handles texts and has no type parameter, so that the code for requests is in the
/// page once and not for every resource.
#[derive(Clone, Copy)]
struct Exchange {
    path: &'static str,
    etag: StoredValue<Option<String>>,
    turns: Turns,
}

impl Exchange {
    fn new(path: &'static str) -> Self {
        Self { path, etag: StoredValue::new(None), turns: Turns::new() }
    }

    /// `take` returns false for a text that it cannot read.
    async fn recall(self, take: &dyn Fn(&str) -> bool) {
        let Some(text) = storage::read(self.path).await else { return };
        if !take(&text) {
            return;
        }
        self.etag.set_value(storage::read(&self.tag_key()).await.filter(|etag| !etag.is_empty()));
    }

    async fn revalidate(self, take: &dyn Fn(NewText<'_>) -> Taken) {
        self.turns.run(async || self.ask(take).await).await;
    }

    async fn ask(self, take: &dyn Fn(NewText<'_>) -> Taken) {
        let known = self.etag.get_value();
        let (text, etag) = match client::get_if_changed(self.path, known.as_deref()).await {
            Ok(Conditional::NotModified) => (None, known),
            Ok(Conditional::Modified { text, etag }) => (Some(text), etag),
            Err(problem) => {
                take(Err(problem));
                return;
            }
        };
        let taken = take(Ok(text.as_deref()));
        if taken == Taken::Failed {
            return;
        }
        self.etag.set_value(etag.clone());
        let Some(text) = text.filter(|_| taken == Taken::Changed) else { return };
        let texts = vec![(self.path.to_owned(), text), (self.tag_key(), etag.unwrap_or_default())];
        // Nobody waits for the browser's storage.
        spawn_local(storage::write_all(texts));
    }

    /// Where the browser keeps the entity tag.
    fn tag_key(self) -> String {
        format!("{} tag", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::database::tests::begin;
    use crate::testing::Backend;
    use futures_util::future::join;
    use gloo_timers::future::TimeoutFuture;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    async fn the_next_visit_begins_with_what_was_known_and_only_asks_whether_it_changed() {
        begin().await;
        let (owner, path) = (Owner::new(), "/resource/visit");
        let backend = Backend::start();
        backend.reply_text("GET /resource/visit", 200, "[1,2]", Some("\"a\"")).reply_text(
            "GET /resource/visit",
            304,
            "",
            None,
        );
        let first: Resource<Vec<u64>> = owner.with(|| Resource::new(path));
        first.revalidate().await;
        // Nobody waits for it but this test.
        while storage::read(path).await.is_none() {
            TimeoutFuture::new(10).await;
        }

        let next: Resource<Vec<u64>> = owner.with(|| Resource::new(path));
        next.recall().await;
        assert!(next.peek(|cached| matches!(cached, Cached::Stale(value) if **value == [1, 2])));
        next.revalidate().await;
        assert!(next.peek(|cached| matches!(cached, Cached::Fresh(value) if **value == [1, 2])));
    }

    #[wasm_bindgen_test]
    async fn requests_that_come_while_one_is_under_way_become_one_more() {
        let owner = Owner::new();
        let backend = Backend::start();
        backend.reply_text("GET /resource/twice", 200, "1", None);
        let resource: Resource<u64> = owner.with(|| Resource::new("/resource/twice"));
        join(resource.revalidate(), async {
            resource.revalidate().await;
            resource.revalidate().await;
        })
        .await;
        assert_eq!(backend.calls().len(), 2);
    }

    #[wasm_bindgen_test]
    async fn a_failure_keeps_what_was_known() {
        let owner = Owner::new();
        let backend = Backend::start();
        backend.reply_text("GET /resource/fails", 200, "1", None).reply_text("GET /resource/fails", 500, "", None);
        let resource: Resource<u64> = owner.with(|| Resource::new("/resource/fails"));
        resource.revalidate().await;
        resource.revalidate().await;
        assert!(resource.peek(|cached| cached.problem().is_some() && cached.value().is_some_and(|value| **value == 1)));
    }
}
