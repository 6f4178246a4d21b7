//! Small parts that views are made of. They do not depend on any feature.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use web_sys::{Element, PointerEvent};

pub(crate) mod clipboard;
pub(crate) mod icons;
pub(crate) mod list;
pub(crate) mod modal;
pub(crate) mod problem;
pub(crate) mod question;

/// An icon, 16 by 16, in the colour of its text.
pub(crate) fn icon(paths: &'static str) -> impl IntoView {
    view! { <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" inner_html=paths></svg> }
}

/// A text in which commands stand between backticks.
pub(crate) fn with_commands(text: &str) -> impl IntoView + use<> {
    let part = |(place, part): (usize, &str)| {
        let part = part.to_owned();
        if place % 2 == 1 { view! { <code>{part}</code> }.into_any() } else { part.into_any() }
    };
    text.split('`').enumerate().map(part).collect_view()
}

/// A command to copy.
#[component]
pub(crate) fn Command(text: &'static str) -> impl IntoView {
    view! { <span class="command"><code>{text}</code><CopyButton text=text label="Copy"/></span> }
}

/// Copies a text, and shows that it did.
#[component]
pub(crate) fn CopyButton(#[prop(into)] text: String, label: &'static str) -> impl IntoView {
    let copied = RwSignal::new(false);
    let copy = move |_| {
        let text = text.clone();
        spawn_local(async move { copied.set(clipboard::copy(&text).await) });
    };
    view! {
        <button class="button borderless square tiny" aria-label=label title=label on:click=copy>
            {move || icon(if copied.get() { icons::CHECK } else { icons::COPY })}
        </button>
    }
}

/// The event began on a button, which takes it for itself.
pub(crate) fn is_on_button(event: &PointerEvent) -> bool {
    event
        .target()
        .and_then(|target| target.dyn_into::<Element>().ok())
        .is_some_and(|element| element.closest("button").ok().flatten().is_some())
}

/// Width and height, in pixels.
pub(crate) fn page_size() -> (i32, i32) {
    document().document_element().map_or((0, 0), |page| (page.client_width(), page.client_height()))
}

/// Sends the pointer's further events to where it went down.
pub(crate) fn capture(event: &PointerEvent) {
    if let Some(element) = event.current_target().and_then(|target| target.dyn_into::<Element>().ok()) {
        let _ = element.set_pointer_capture(event.pointer_id());
    }
}
