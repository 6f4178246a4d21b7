//! One resource of the backend: painted from storage, then asked for, then kept.

use std::sync::Arc;

use leptos::prelude::*;
use serde::de::DeserializeOwned;

use super::{Cached, Reply};
use crate::ui::clock;
use crate::{client, json, storage};

#[derive(Clone, Copy, PartialEq)]
enum Asking {
    No,
    Yes,
    /// Asked again meanwhile: the answer under way may be older than the reason to ask.
    Again,
}

pub(crate) struct Resource<T: Send + Sync + 'static> {
    cached: RwSignal<Cached<Arc<T>>>,
    path: &'static str,
    /// When the backend last confirmed it, in milliseconds since 1970.
    seen: RwSignal<Option<u64>>,
    etag: StoredValue<Option<String>>,
    asking: StoredValue<Asking>,
}

impl<T: Send + Sync + 'static> Clone for Resource<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for Resource<T> {}

impl<T: DeserializeOwned + PartialEq + Send + Sync + 'static> Resource<T> {
    pub(crate) fn new(path: &'static str) -> Self {
        Self {
            cached: RwSignal::new(Cached::Empty),
            path,
            seen: RwSignal::new(None),
            etag: StoredValue::new(None),
            asking: StoredValue::new(Asking::No),
        }
    }

    pub(crate) fn value(self) -> Option<Arc<T>> {
        self.cached.with(|cached| cached.value().map(Arc::clone))
    }

    pub(crate) fn peek<R>(self, look: impl FnOnce(&Cached<Arc<T>>) -> R) -> R {
        self.cached.with_untracked(look)
    }

    pub(crate) fn seen(self) -> Option<u64> {
        self.seen.get()
    }

    /// What an earlier visit left behind.
    pub(crate) async fn recall(self) {
        let Some(text) = storage::read(self.path).await else { return };
        let Ok(value) = json::read(&text) else { return };
        self.cached.set(Cached::Stale(Arc::new(value)));
        let about = storage::read(&self.about()).await.unwrap_or_default();
        let (seen, etag) = about.split_once('\n').unwrap_or((&about, ""));
        self.seen.set(seen.parse().ok());
        self.etag.set_value((!etag.is_empty()).then(|| etag.to_owned()));
    }

    /// Asks the backend. Calls that come while an answer is under way lead to one more question, not to many.
    pub(crate) async fn revalidate(self) {
        if self.asking.get_value() != Asking::No {
            self.asking.set_value(Asking::Again);
            return;
        }
        loop {
            self.asking.set_value(Asking::Yes);
            self.ask().await;
            if self.asking.get_value() == Asking::Yes {
                break;
            }
        }
        self.asking.set_value(Asking::No);
    }

    async fn ask(self) {
        let etag = self.etag.get_value();
        let mut text = None;
        let reply = match client::get_if_changed(self.path, etag.as_deref()).await {
            Ok(None) => Reply::Unchanged,
            Ok(Some(answer)) => {
                self.etag.set_value(answer.etag);
                text = Some(answer.text);
                Reply::New(Arc::new(answer.value))
            }
            Err(problem) => Reply::Failed(problem),
        };
        let answered = !matches!(reply, Reply::Failed(_));
        let next = self.cached.with_untracked(|cached| cached.after(reply));
        let changed = next.is_some();
        if let Some(next) = next {
            self.cached.set(next);
        }
        if answered {
            let now = clock::now();
            self.seen.set(Some(now));
            if changed && let Some(text) = text {
                storage::write(self.path, &text).await;
            }
            let etag = self.etag.get_value().unwrap_or_default();
            storage::write(&self.about(), &format!("{now}\n{etag}")).await;
        }
    }

    fn about(self) -> String {
        format!("{} seen", self.path)
    }
}
