//! What tests in the browser share: a page with its stores, a backend that is made up, and a look at what is painted.

use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use pixelrts_shared::catalog::{MergedCatalog, MergedEntry};
use serde_json::Value;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use web_sys::{Element, HtmlElement, ReadableStream};

use crate::shell::Shell;

#[wasm_bindgen(module = "/src/testing.js")]
extern "C" {
    fn start();
    fn stop();
    fn hold();
    fn resume();
    fn reply(call: &str, status: u16, text: &str, etag: Option<&str>);
    fn sent() -> Vec<String>;
    /// An event of the backend.
    pub(crate) fn send_event(kind: &str, data: &str);
    /// A browser that has no databases.
    pub(crate) fn hide_databases(hidden: bool);
    /// The database as another page has it that does not let go of it. Where there is none, it is made as version 1 was.
    #[wasm_bindgen(catch)]
    pub(crate) async fn hold_database(name: &str, version: u32) -> Result<JsValue, JsValue>;
    pub(crate) fn close_database(database: &JsValue);
    /// A disk without room: nothing that is written is stored.
    pub(crate) fn fill_disk(full: bool);
    /// A stream of bytes that arrive in pieces of `length`; then it ends, or breaks.
    pub(crate) fn stream(text: &str, length: usize, breaks: bool) -> ReadableStream;
    /// The reader of the last stream has cancelled it.
    pub(crate) fn cancelled() -> bool;
}

/// Answers the requests of the page until it is dropped. Calls without a reply fail, as when nothing answers.
pub(crate) struct Backend;

impl Backend {
    pub(crate) fn start() -> Self {
        start();
        Self
    }

    /// The reply of a call, as in `GET /api/v1/health`. Several replies follow each other, and the last one repeats.
    pub(crate) fn reply(&self, call: &str, status: u16, body: &Value) -> &Self {
        reply(call, status, &body.to_string(), None);
        self
    }

    pub(crate) fn reply_text(&self, call: &str, status: u16, text: &str, etag: Option<&str>) -> &Self {
        reply(call, status, text, etag);
        self
    }

    /// Replies wait until they are released.
    pub(crate) fn hold(&self) {
        hold();
    }

    pub(crate) fn release(&self) {
        resume();
    }

    /// All calls so far, each with its body.
    pub(crate) fn calls(&self) -> Vec<String> {
        sent()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        stop();
    }
}

/// A page with all stores, and one view of it.
pub(crate) struct Page {
    pub(crate) shell: Shell,
    host: HtmlElement,
    mounted: Option<Box<dyn std::any::Any>>,
}

impl Page {
    pub(crate) fn mount<V: IntoView + 'static>(
        prepare: impl FnOnce(Shell),
        view: impl FnOnce() -> V + 'static,
    ) -> Self {
        _ = any_spawner::Executor::init_wasm_bindgen();
        let owner = Owner::new();
        let shell = owner.with(Shell::new);
        // The stores live as long as the page, which is all tests together.
        std::mem::forget(owner);
        shell.rest.arrived(crate::app::parts::parts().0);
        prepare(shell);
        let host: HtmlElement = document().create_element("div").unwrap().unchecked_into();
        document().body().unwrap().append_child(&host).unwrap();
        let mounted = leptos::mount::mount_to(host.clone(), move || {
            shell.provide();
            view()
        });
        Self { shell, host, mounted: Some(Box::new(mounted)) }
    }

    pub(crate) fn find(&self, selector: &str) -> Option<HtmlElement> {
        self.host.query_selector(selector).unwrap().map(JsCast::unchecked_into)
    }

    pub(crate) fn host(&self) -> &HtmlElement {
        &self.host
    }

    pub(crate) fn text(&self) -> String {
        text(&self.host)
    }

    pub(crate) fn attribute(&self, selector: &str, name: &str) -> Option<String> {
        self.find(selector).and_then(|element| element.get_attribute(name))
    }

    /// The labels of all buttons, in their order.
    pub(crate) fn buttons(&self) -> Vec<String> {
        let found = self.host.query_selector_all("button").unwrap();
        let label = |button: Element| button.get_attribute("aria-label").unwrap_or_else(|| text(&button));
        (0..found.length()).filter_map(|at| found.item(at)).map(|button| label(button.unchecked_into())).collect()
    }

    /// Clicks the button with this label.
    pub(crate) fn press(&self, label: &str) {
        let at = self.buttons().iter().position(|other| other == label);
        let at = at.unwrap_or_else(|| panic!("no button {label:?} among {:?}", self.buttons()));
        let button = self.host.query_selector_all("button").unwrap().item(u32::try_from(at).unwrap()).unwrap();
        button.unchecked_into::<HtmlElement>().click();
    }

    /// Types a text into a field.
    pub(crate) fn fill(&self, selector: &str, text: &str) {
        let field: web_sys::HtmlInputElement = self.find(selector).expect(selector).unchecked_into();
        field.set_value(text);
        field.dispatch_event(&bubbling("input")).unwrap();
    }

    /// Waits until something is so, for 5 seconds.
    pub(crate) async fn until(&self, what: &str, is: impl Fn(&Self) -> bool) {
        for _ in 0..250 {
            if is(self) {
                return;
            }
            TimeoutFuture::new(20).await;
        }
        panic!("not within 5 s: {what}; the page says {:?}", self.text());
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.mounted = None;
        self.host.remove();
    }
}

/// An event that reaches the elements around its target.
pub(crate) fn bubbling(kind: &str) -> web_sys::Event {
    let event: web_sys::Event = document().create_event("Event").unwrap();
    event.init_event_with_bubbles_and_cancelable(kind, true, true);
    event
}

fn text(element: &Element) -> String {
    element.text_content().unwrap_or_default().replace('\u{a0}', " ").trim().to_owned()
}

pub(crate) fn catalog(entries: impl Into<Vec<MergedEntry>>) -> MergedCatalog {
    MergedCatalog { entries: entries.into(), ..MergedCatalog::default() }
}
