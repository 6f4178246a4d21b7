//! A modal dialog: the browser's own, which keeps the focus inside and closes on Escape.

use leptos::html;
use leptos::prelude::*;

#[component]
pub(crate) fn Modal(
    open: Signal<bool>,
    /// Called when the browser has closed it.
    close: Callback<()>,
    label: &'static str,
    children: ChildrenFn,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        let Some(dialog) = dialog.get() else { return };
        match (open.get(), dialog.open()) {
            (true, false) => drop(dialog.show_modal()),
            (false, true) => dialog.close(),
            _ => {}
        }
    });
    // A dialog that this page has closed itself reports that too, when another one may be open already.
    let closed = move |_| {
        if open.get_untracked() {
            close.run(());
        }
    };
    view! {
        <dialog class="dialog" node_ref=dialog aria-label=label on:close=closed>
            <Show when=move || open.get()>{children()}</Show>
        </dialog>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Page, bubbling};
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    async fn a_dialog_follows_its_signal_and_reports_when_the_browser_closes_it() {
        let (open, closed) = (ArcRwSignal::new(false), ArcRwSignal::new(0));
        let signals = (open.clone(), closed.clone());
        let page = Page::mount(
            |_| {},
            move || {
                let (open, closed) = (signals.0.clone(), signals.1.clone());
                let close = Callback::new(move |()| closed.update(|closed| *closed += 1));
                view! { <Modal open=Signal::derive(move || open.get()) close=close label="Test"><p>"inside"</p></Modal> }
            },
        );
        let is_open = |page: &Page| page.attribute("dialog", "open").is_some();
        assert!(!is_open(&page) && page.text().is_empty());
        open.set(true);
        page.until("it is open", |page| is_open(page) && page.text() == "inside").await;
        page.find("dialog").unwrap().dispatch_event(&bubbling("close")).unwrap();
        assert_eq!(closed.get_untracked(), 1);
        open.set(false);
        page.until("it is closed", |page| !is_open(page) && page.text().is_empty()).await;
        page.find("dialog").unwrap().dispatch_event(&bubbling("close")).unwrap();
        assert_eq!(closed.get_untracked(), 1, "what the page closes itself is not reported");
    }
}
