//! The notice at the top of the page.

use leptos::prelude::*;

use super::store::Offline;

#[component]
pub(crate) fn Notices() -> impl IntoView {
    let offline = Offline::expect();
    let notice = Memo::new(move |_| offline.notice());
    view! {
        <div class="notices" role="status">
            {move || notice.get().map(|notice| view! {
                <p class="notice">
                    <strong>{notice.what()}</strong>
                    " "<span class="quiet">{notice.why()}</span>
                    <button class="button" on:click=move |_| offline.act(notice)>{notice.action()}</button>
                </p>
            })}
        </div>
    }
}
