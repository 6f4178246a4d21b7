//! The list of downloads, opened on request.

use leptos::prelude::*;
use pixelrts_shared::DownloadId;

use super::Line;
use crate::downloads::store::Downloads;
use crate::image::picture::{Bar, Stamp};
use crate::image::store::Images;
use crate::layout::store::Layout;
use crate::ui::list::list;
use crate::ui::{self, icons};

#[component]
pub(crate) fn Tray() -> impl IntoView {
    let (downloads, layout) = (Downloads::expect(), Layout::expect());
    view! {
        <section class="tray" aria-label="Downloads">
            <header>
                "Downloads" <span class="spacer"></span>
                <button class="button borderless small" on:click=move |_| downloads.clear_finished()>"Clear finished"</button>
                <button class="button borderless square tiny" aria-label="Close downloads" on:click=move |_| layout.update(|open| open.tray = false)>
                    {ui::icon(icons::CLOSE)}
                </button>
            </header>
            <ul>{list(move || downloads.shown(), |id| view! { <Row id=id/> }.into_any())}</ul>
            {move || downloads.shown().is_empty().then(|| view! {
                <p class="quiet">"There are no downloads. Booting an image that is not on this computer downloads it."</p>
            })}
        </section>
    }
}

#[component]
fn Row(id: DownloadId) -> impl IntoView {
    let (downloads, images) = (Downloads::expect(), Images::expect());
    let download = Memo::new(move |_| downloads.get(&id));
    let key = Memo::new(move |_| download.with(|download| download.as_ref().map(|download| download.key)));
    let is_over =
        Memo::new(move |_| download.with(|download| download.as_ref().is_none_or(|download| download.stage.is_over())));
    let line = Memo::new(move |_| download.with(|download| download.as_ref().map(Line::of)));
    let text = move || line.get().map(|line| line.text);
    view! {
        <li class="download" data-status=move || line.get().map(|line| line.status.name())>
            {move || key.get().map(|key| view! {
                <Stamp key=key/>
                <div>
                    <h3 class="ellipsis">{images.catalog.name(&key)}</h3>
                    <Bar key=key/>
                    <div class="download-row tabular">
                        <span class="status" title=text>{text}</span>
                        <span class="mono">{move || line.get().map(|line| line.amount)}</span>
                    </div>
                </div>
            })}
            <Show when=move || !is_over.get()>
                <button class="button borderless square" aria-label="Cancel and keep what is here" title="Cancel and keep what is here"
                    on:click=move |_| key.get_untracked().into_iter().for_each(|key| images.cancel(&key))>
                    {ui::icon(icons::CLOSE)}
                </button>
            </Show>
        </li>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::condition::tests::{download, entry};
    use crate::testing::{Backend, Page, catalog};
    use pixelrts_shared::paths;
    use wasm_bindgen_test::wasm_bindgen_test;

    const CANCEL: &str = "Cancel and keep what is here";

    #[wasm_bindgen_test]
    async fn a_download_can_be_cancelled_while_it_is_under_way_and_cleared_after() {
        let prepare = |shell: crate::shell::Shell| {
            shell.catalog.set(catalog([entry(false, &[("office", "up")])]));
            shell.downloads.accept(vec![download("downloading", 1)]);
        };
        let page = Page::mount(prepare, || view! { <Tray/> });
        page.until("its line", |page| page.text().contains("Downloading, 10 %")).await;
        let backend = Backend::start();
        let call = format!("DELETE {}", paths::download(&download("downloading", 1).id));
        backend.reply_text(&call, 204, "", None);
        page.press(CANCEL);
        page.until("the request", |_| backend.calls() == [call.clone()]).await;
        page.shell.downloads.accept(vec![download("cancelled", 1)]);
        page.until("no more to cancel", |page| !page.buttons().contains(&CANCEL.to_owned())).await;
        page.press("Clear finished");
        page.until("an empty list", |page| page.text().contains("There are no downloads.")).await;
    }
}
