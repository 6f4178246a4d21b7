//! The tray: downloads, under the wall, opened on request.

use leptos::prelude::*;
use pixelrts_shared::DownloadId;
use pixelrts_shared::catalog::Status;
use pixelrts_shared::download::{Download, DownloadStage};

use crate::app::Shell;
use crate::catalog::picture::{Bar, Stamp};
use crate::ui::{self, icons};
use crate::words;

#[component]
pub(crate) fn Tray() -> impl IntoView {
    let downloads = Shell::get().downloads;
    view! {
        <section class="tray" aria-label="Downloads">
            <header>
                "Downloads" <span class="grow"></span>
                <button class="btn bare small" on:click=move |_| downloads.clear_finished()>"Clear finished"</button>
                <button class="btn bare sq tiny" aria-label="Close downloads" on:click=move |_| downloads.tray.set(false)>{ui::icon(icons::CLOSE)}</button>
            </header>
            <ul><For each=move || downloads.shown() key=Clone::clone let:id><Row id=id/></For></ul>
            {move || downloads.shown().is_empty().then(|| view! { <p class="q">"No downloads. Booting an image that is not here fetches it."</p> })}
        </section>
    }
}

#[component]
fn Row(id: DownloadId) -> impl IntoView {
    let shell = Shell::get();
    let id = StoredValue::new(id);
    let download = Memo::new(move |_| shell.downloads.get(&id.get_value()));
    let key = Memo::new(move |_| download.with(|download| download.as_ref().map(|download| download.key)));
    let over =
        Memo::new(move |_| download.with(|download| download.as_ref().is_none_or(|download| download.stage.is_over())));
    let line = move || download.with(|download| download.as_ref().map(state));
    view! {
        <li class="dl" data-s=move || line().map(|(status, ..)| ui::slug(status))>
            {move || key.get().map(|key| view! {
                <Stamp key=key/>
                <div>
                    <h3 class="cut">{shell.catalog.name(&key)}</h3>
                    <Bar key=key/>
                    <div class="row t">
                        <span class="st" title=move || line().map(|(_, word, _)| word)>{move || line().map(|(_, word, _)| word)}</span>
                        <span class="m">{move || line().map(|(.., amount)| amount)}</span>
                    </div>
                </div>
            })}
            <Show when=move || !over.get()>
                <button class="btn bare sq" aria-label="Cancel, keep what is here" title="Cancel, keep what is here"
                    on:click=move |_| key.get_untracked().into_iter().for_each(|key| shell.cancel(&key))>
                    {ui::icon(icons::CLOSE)}
                </button>
            </Show>
        </li>
    }
}

fn state(download: &Download) -> (Status, String, String) {
    let total = download.total.unwrap_or(0);
    let percent = words::percent(download.received, total);
    let amount = words::share(download.received, total);
    let left = download.eta_seconds.map_or_else(|| amount.clone(), words::span);
    match download.stage {
        DownloadStage::Queued => (Status::Idle, "Waiting for its turn".to_owned(), amount),
        DownloadStage::Connecting if download.attempt > 1 => {
            (Status::Retrying, format!("Retrying, {percent} % kept"), amount)
        }
        DownloadStage::Connecting => (Status::Downloading, "Connecting".to_owned(), amount),
        DownloadStage::Downloading => (Status::Downloading, format!("Downloading, {percent} %"), left),
        DownloadStage::Verifying => (Status::Downloading, "Verifying".to_owned(), amount),
        DownloadStage::Cached => (Status::Stopped, "Cached and verified".to_owned(), words::bytes(total)),
        DownloadStage::Cancelled => (Status::Stopped, format!("Cancelled, {percent} % kept"), amount),
        DownloadStage::Failed => {
            let what =
                download.problem.as_ref().map_or_else(|| "Failed".to_owned(), |problem| words::closed(&problem.what));
            (Status::Error, what, String::new())
        }
    }
}
