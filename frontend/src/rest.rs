//! What the first paint does not need: views that open later, and what follows the backend.
//!
//! `cargo xtask build` cuts this code out of the WASM into a chunk of its own (`app/parts.rs` names what is in it). The
//! page loads it right after the first paint, and tries again when that fails. Until it is here, views of it are empty;
//! when it is missing, they and a notice say so.

use leptos::prelude::*;
use leptos::wasm_split::SplitLoaderError;
use pixelrts_shared::Digest;

use crate::link::{reconnecting, retry};

/// The rest was not loaded. The browser's console has the reason.
#[derive(Debug)]
pub(crate) struct Missing;

impl From<SplitLoaderError> for Missing {
    fn from(_: SplitLoaderError) -> Self {
        Self
    }
}

/// How views of the rest are made.
#[derive(Clone, Copy)]
pub(crate) struct Parts {
    pub(crate) servers: fn() -> AnyView,
    pub(crate) settings: fn() -> AnyView,
    pub(crate) machines: fn() -> AnyView,
    pub(crate) storage: fn() -> AnyView,
    pub(crate) details: fn(Digest) -> AnyView,
    pub(crate) tray: fn() -> AnyView,
    pub(crate) windows: fn() -> AnyView,
    pub(crate) add_server: fn() -> AnyView,
    pub(crate) keys: fn() -> AnyView,
}

#[derive(Clone, Copy)]
enum State {
    Loading,
    Here(Parts),
    Missing,
}

#[derive(Clone, Copy)]
pub(crate) struct Rest(RwSignal<State>);

impl Rest {
    pub(crate) fn new() -> Self {
        Self(RwSignal::new(State::Loading))
    }

    pub(crate) fn expect() -> Self {
        expect_context()
    }

    /// Loads the rest, however often that takes: the backend may only be away for a moment. Returns what came with the
    /// views.
    pub(crate) async fn load<T>(self, load: impl AsyncFn() -> Result<(Parts, T), Missing>) -> T {
        let mut waits = reconnecting();
        loop {
            if let Ok((parts, more)) = load().await {
                self.arrived(parts);
                return more;
            }
            self.0.set(State::Missing);
            retry::pause(&mut waits).await;
        }
    }

    pub(crate) fn arrived(self, parts: Parts) {
        self.0.set(State::Here(parts));
    }

    pub(crate) fn is_missing(self) -> bool {
        self.0.with(|state| matches!(state, State::Missing))
    }

    /// A view of the rest, as soon as it is here.
    pub(crate) fn show(self, part: impl Fn(Parts) -> AnyView + Send + Sync + 'static) -> AnyView {
        let view = move || match self.0.get() {
            State::Loading => ().into_any(),
            State::Here(parts) => part(parts),
            State::Missing => view! { <p class="quiet">"This part of the page is not loaded."</p> }.into_any(),
        };
        view.into_any()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::app::parts::parts;
    use crate::testing::Page;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    async fn a_rest_that_is_missing_is_said_and_loaded_again_until_it_is_here() {
        let page =
            Page::mount(|shell| shell.rest.0.set(State::Loading), || Rest::expect().show(|parts| (parts.keys)()));
        assert_eq!(page.text(), "");
        let tries = Cell::new(0);
        let load = async || {
            tries.set(tries.get() + 1);
            if tries.get() == 1 { Err(Missing) } else { Ok((parts().0, "more")) }
        };
        let rest = page.shell.rest;
        let seen_missing = async {
            page.until("the part is told to be missing", |page| page.text().contains("is not loaded")).await;
            rest.is_missing()
        };
        let (more, was_missing) = futures_util::future::join(rest.load(load), seen_missing).await;
        assert!(more == "more" && was_missing && !rest.is_missing() && tries.get() == 2);
        page.until("the part", |page| !page.text().is_empty() && !page.text().contains("is not loaded")).await;
    }
}
