//! The merged catalog as this page has it: painted from the browser's storage, then brought up to date by the backend,
//! then stored again.

use std::sync::Arc;

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::{Shared, join, select};
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use pixelrts_shared::catalog::{MergedEntry, Source};
use pixelrts_shared::server::Health;
use pixelrts_shared::{Digest, Problem, ProblemCode};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use super::follow::{Ask, Follower, Next, Step};
use super::memory::{self, Head, Outcome};
use crate::link::{retry, still_asking};
use crate::resource::turns::Turns;
use crate::{client, clock, storage};

/// Where the browser keeps when the catalog was confirmed.
const SEEN: &str = "catalog seen";
/// The backend is asked for everything rather than to wait longer for what the browser remembers.
const MEMORY_MS: u32 = 1_500;

#[derive(Clone, Copy)]
pub(crate) struct Catalog {
    follower: StoredValue<Follower>,
    keys: RwSignal<Arc<[Digest]>>,
    known: RwSignal<bool>,
    /// An entry has changed.
    entries: Trigger,
    /// What is said of a server has changed.
    servers: Trigger,
    /// When the backend last confirmed it, in milliseconds since 1970.
    confirmed_at: RwSignal<Option<u64>>,
    /// The backend is asking its servers.
    stale: StoredValue<bool>,
    recalled: StoredValue<Option<Shared<oneshot::Receiver<()>>>>,
    asking: Turns,
    writing: Turns,
    /// The browser takes no more during this visit.
    full: StoredValue<bool>,
}

impl Catalog {
    pub(crate) fn new() -> Self {
        Self {
            follower: StoredValue::new(Follower::default()),
            keys: RwSignal::default(),
            known: RwSignal::new(false),
            entries: Trigger::new(),
            servers: Trigger::new(),
            confirmed_at: RwSignal::new(None),
            stale: StoredValue::new(false),
            recalled: StoredValue::new(None),
            asking: Turns::new(),
            writing: Turns::new(),
            full: StoredValue::new(false),
        }
    }

    pub(crate) fn expect() -> Self {
        expect_context()
    }

    /// In the catalog's order: by name, then by digest.
    pub(crate) fn with_keys<R>(self, look: impl FnOnce(&[Digest]) -> R) -> R {
        self.keys.with(|keys| look(keys))
    }

    /// A copy of all keys: see [`with_keys`](Self::with_keys).
    pub(crate) fn keys(self) -> Vec<Digest> {
        self.with_keys(<[Digest]>::to_vec)
    }

    /// The same object as long as nothing about the entry changes. It says of a server only whether it does not answer:
    /// see [`health`](Self::health).
    pub(crate) fn entry(self, key: &Digest) -> Option<Arc<MergedEntry>> {
        self.entries.track();
        self.follower.with_value(|follower| follower.held().entry(key))
    }

    pub(crate) fn name(self, key: &Digest) -> String {
        self.entries.track();
        self.follower.with_value(|follower| follower.held().name(key).map_or_else(|| key.short(), str::to_owned))
    }

    /// All that is known of the health of a server that has an image.
    pub(crate) fn health(self, source: &Source) -> Health {
        self.servers.track();
        let known = self.follower.with_value(|follower| {
            let mut servers = follower.held().servers().iter();
            servers.find(|server| server.id == source.server).map(|server| server.health.clone())
        });
        known.unwrap_or_else(|| source.health.clone())
    }

    /// Something is known, if only from an earlier visit.
    pub(crate) fn is_known(self) -> bool {
        self.known.get()
    }

    /// When the backend last confirmed it, in milliseconds since 1970.
    pub(crate) fn confirmed_at(self) -> Option<u64> {
        self.confirmed_at.get()
    }

    /// Reads what an earlier visit left behind. It goes on when nobody waits for it any more.
    pub(crate) async fn recall(self) {
        let (tell, told) = oneshot::channel();
        let told = told.shared();
        self.recalled.set_value(Some(told.clone()));
        spawn_local(async move {
            let (stored, seen) = join(memory::read(), storage::read(SEEN)).await;
            if let Some(memory::Stored { head, lines }) = stored {
                let taken =
                    self.follower.try_update_value(|follower| follower.recall(head.revision, head.servers, lines));
                if taken == Some(true) {
                    self.confirmed_at.set(seen.and_then(|seen| seen.parse().ok()));
                    self.tell(Step { entries: true, servers: true, next: Next::AskAgain });
                }
            }
            _ = tell.send(());
        });
        _ = told.await;
    }

    /// Asks until the servers that are being asked have answered, for at most half a minute.
    pub(crate) async fn revalidate(self) {
        if let Some(recalled) = self.recalled.get_value() {
            select(recalled, TimeoutFuture::new(MEMORY_MS)).await;
        }
        let mut waits = still_asking();
        loop {
            self.asking.run(async || self.round().await).await;
            if !self.stale.get_value() || !retry::pause(&mut waits).await {
                break;
            }
        }
    }

    async fn round(self) {
        self.follower.update_value(Follower::begin_round);
        loop {
            match self.ask().await {
                Next::AskAgain => {}
                Next::Done { stale } => {
                    self.stale.set_value(stale);
                    self.confirm();
                    break;
                }
                Next::Later => {
                    self.stale.set_value(false);
                    break;
                }
            }
        }
    }

    async fn ask(self) -> Next {
        let Some(ask) = self.follower.try_update_value(Follower::ask) else { return Next::Later };
        let path = ask.path();
        match ask {
            Ask::Page { .. } => self.take(client::get(&path).await, Follower::take_page),
            Ask::Since(_) => self.take(client::get(&path).await, Follower::take_delta),
        }
    }

    fn take<T>(self, reply: Result<T, Problem>, take: impl FnOnce(&mut Follower, T) -> Step) -> Next {
        let reply = match reply {
            Ok(reply) => reply,
            Err(problem) => {
                if problem.code == ProblemCode::Usage {
                    // This backend does not know what an earlier one said.
                    self.follower.update_value(Follower::begin_anew);
                }
                return Next::Later;
            }
        };
        let Some(step) = self.follower.try_update_value(|follower| take(follower, reply)) else { return Next::Later };
        self.tell(step);
        step.next
    }

    /// Tells everybody who looks at what has changed.
    fn tell(self, step: Step) {
        let keys = self.follower.with_value(|follower| Arc::clone(follower.held().keys()));
        if self.keys.with_untracked(|known| !Arc::ptr_eq(known, &keys)) {
            self.keys.set(keys);
        }
        if step.entries {
            self.entries.notify();
        }
        if step.servers {
            self.servers.notify();
        }
        if !self.known.get_untracked() {
            self.known.set(true);
        }
    }

    /// What is held is what the backend has now. Nobody waits for the browser's storage.
    fn confirm(self) {
        let now = clock::now();
        self.confirmed_at.set(Some(now));
        spawn_local(async move {
            storage::write(SEEN, &now.to_string()).await;
            self.writing.run(async || self.write().await).await;
        });
    }

    async fn write(self) {
        if self.full.get_value() {
            return;
        }
        let plan = move |stored: Option<&str>| {
            let plan = self.follower.try_update_value(|follower| {
                let write = follower.to_write(stored)?;
                let head = Head { revision: write.revision.clone(), servers: follower.held().servers().to_vec() };
                Some((write, head))
            });
            plan.flatten()
        };
        let line =
            move |key: &Digest| self.follower.with_value(|follower| follower.held().line(key).map(JsValue::from_str));
        match memory::write(plan, line).await {
            Outcome::NotNeeded => {}
            Outcome::Written(revision) => self.follower.update_value(|follower| follower.written(Some(&revision))),
            Outcome::Failed => {
                self.follower.update_value(|follower| follower.written(None));
                self.full.set_value(true);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn set(self, catalog: pixelrts_shared::catalog::MergedCatalog) {
        self.follower.update_value(|follower| follower.show(catalog.entries));
        self.tell(Step { entries: true, servers: false, next: Next::AskAgain });
    }
}

#[cfg(test)]
mod tests;
