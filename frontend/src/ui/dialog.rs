//! A modal dialog: the browser's own, which keeps the focus inside and closes on Esc.

use leptos::html;
use leptos::prelude::*;

#[component]
pub(crate) fn Dialog(open: RwSignal<bool>, label: &'static str, children: ChildrenFn) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        let Some(dialog) = dialog.get() else { return };
        match (open.get(), dialog.open()) {
            (true, false) => drop(dialog.show_modal()),
            (false, true) => dialog.close(),
            _ => {}
        }
    });
    view! {
        <dialog class="form" node_ref=dialog aria-label=label on:close=move |_| open.set(false)>
            <Show when=move || open.get()>{children()}</Show>
        </dialog>
    }
}
