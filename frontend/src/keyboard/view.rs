//! The list of keys.

use leptos::prelude::*;

use super::KEYS;

#[component]
pub(crate) fn Keys() -> impl IntoView {
    let row = |(key, does): (&'static str, &'static str)| view! { <div><dt><kbd>{key}</kbd></dt><dd>{does}</dd></div> };
    view! { <dl class="key-list">{KEYS.map(row).collect_view()}</dl> }
}
