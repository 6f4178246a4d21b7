//! What is known about the page's files, for all views.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::*;

use super::{Notice, Standing};
use crate::link::store::Link;
use crate::rest::Rest;
use crate::storage;

/// Says that the limits of the address were told.
const TOLD: &str = "told limits";

#[wasm_bindgen(module = "/src/offline/registration.js")]
extern "C" {
    #[wasm_bindgen(js_name = isTrusted)]
    fn is_trusted() -> bool;
    async fn follow(report: &Closure<dyn FnMut(String)>);
    fn look();
    #[wasm_bindgen(js_name = goOver)]
    fn go_over();
}

#[derive(Clone, Copy)]
pub(crate) struct Offline {
    standing: RwSignal<Standing>,
    link: Link,
    rest: Rest,
}

impl Offline {
    pub(crate) fn new(link: Link, rest: Rest) -> Self {
        Self { standing: RwSignal::new(Standing::default()), link, rest }
    }

    pub(crate) fn expect() -> Self {
        expect_context()
    }

    pub(crate) fn notice(self) -> Option<Notice> {
        self.standing.get().notice(self.rest.is_missing())
    }

    /// Does what the button of a notice says.
    pub(crate) fn act(self, notice: Notice) {
        match notice {
            Notice::Ready | Notice::Replaced | Notice::PartMissing => go_over(),
            Notice::Limited => {
                self.standing.update(|standing| standing.limited = false);
                spawn_local(storage::write(TOLD, "yes"));
            }
        }
    }

    /// Follows the versions of the page for as long as it is open. Whenever a connection is made, the backend may be
    /// another one.
    pub(crate) fn follow(self) {
        Effect::new(move |_| {
            if self.link.answers() > 1 {
                look();
            }
        });
        spawn_local(self.register());
    }

    async fn register(self) {
        if !is_trusted() {
            let told = storage::read(TOLD).await.is_some();
            self.standing.update(|standing| standing.limited = !told);
            return;
        }
        let report = Closure::new(move |news: String| self.learn(&news));
        follow(&report).await;
        // Further news come for as long as the page is open.
        report.forget();
    }

    fn learn(self, news: &str) {
        self.standing.update(|standing| match news {
            "ready" => standing.ready = true,
            _ => *standing = Standing { ready: false, replaced: true, ..*standing },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::view::Notices;
    use super::*;
    use crate::testing::Page;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    async fn news_of_the_worker_become_one_notice_with_a_button() {
        let page = Page::mount(|_| {}, || view! { <Notices/> });
        assert_eq!(page.text(), "");
        page.shell.offline.learn("ready");
        page.until("a new version", |page| page.text().starts_with("A new version is ready.")).await;
        assert_eq!(page.buttons(), ["Reload"]);
        page.shell.offline.learn("replaced");
        page.until("another tab", |page| page.text().starts_with("Another tab has loaded")).await;
    }

    #[wasm_bindgen_test]
    async fn the_limits_of_an_address_are_told_until_they_are_understood() {
        let page = Page::mount(
            |shell| shell.offline.standing.update(|standing| standing.limited = true),
            || view! { <Notices/> },
        );
        page.until("the limits", |page| page.text().contains("clipboard")).await;
        page.press("Understood");
        page.until("no notice", |page| page.text().is_empty()).await;
    }
}
