//! The card of an image on the wall: its picture, its label, one button.

use std::sync::Arc;

use leptos::prelude::*;
use pixelrts_shared::Digest;
use pixelrts_shared::catalog::MergedEntry;
use pixelrts_shared::download::Download;

use super::store::Wall;
use crate::image::button::Button;
use crate::image::condition::Condition;
use crate::image::picture::Picture;
use crate::image::store::Images;
use crate::image::text::{self, Availability};
use crate::layout::store::Layout;
use crate::machines::view::{Stages, Summary};
use crate::servers::view::sources;
use crate::ui::Glyph;
use crate::words;

#[component]
pub(crate) fn Card(key: Digest) -> impl IntoView {
    let (images, wall, layout) = (Images::expect(), Wall::expect(), Layout::expect());
    let entry = Memo::new(move |_| images.catalog.entry(&key));
    let condition = images.condition(key);
    let status = Memo::new(move |_| condition.with(Condition::status));
    let selected = Memo::new(move |_| wall.selected() == Some(key));
    let name = Memo::new(move |_| {
        entry.with(|entry| entry.as_ref().map(|entry| entry.entry.name.to_string()).unwrap_or_default())
    });
    view! {
        <article
            class="object"
            id=card_id(&key)
            data-key=key.to_string()
            data-status=move || status.get().name()
            aria-label=move || format!("{}, {}", name.get(), status.get().word())
            aria-current=move || selected.get().then_some("true")
            tabindex=move || if wall.is_entrance(&key) { "0" } else { "-1" }
            on:click=move |_| wall.select(key)
            on:focus=move |_| wall.select(key)
            on:dblclick=move |_| images.begin(key)
        >
            <Picture key=key condition=condition/>
            <div class="object-label">
                <h3>
                    <button class="object-name" tabindex="-1" title=move || format!("{}: details", name.get())
                        on:click=move |_| layout.update(|open| open.details = true)>{name}</button>
                </h3>
                {move || entry.get().map(|entry| condition.with(|condition| label(&entry, condition)))}
                <div class="object-action">
                    {move || view! { <Glyph status=status.get()/> }}
                    <Button key=key condition=condition/>
                </div>
            </div>
        </article>
    }
}

/// The id of a card in the page, by which keys find it.
pub(crate) fn card_id(key: &Digest) -> String {
    format!("o-{key}")
}

/// Everything between the name and the button.
fn label(entry: &Arc<MergedEntry>, condition: &Condition) -> AnyView {
    match condition {
        Condition::Idle => view! { {facts(entry, condition)} }.into_any(),
        Condition::Stopped(machine) | Condition::Running(machine) => {
            view! { {facts(entry, condition)}<p class="tabular"><Summary machine=machine.clone()/></p> }.into_any()
        }
        Condition::Unavailable(why) => view! { {facts(entry, condition)}<p class="why">{why.clone()}</p> }.into_any(),
        Condition::Downloading(download) => view! {
            <div class="label-rows tight">
                {amount(download, entry)}
                <div class="mono">{text::rate(download)}</div>
                <div class="mono">{text::time_left(download)}</div>
                {sources(entry)}
            </div>
        }
        .into_any(),
        Condition::Retrying(download) => view! {
            <div class="label-rows tight">{amount(download, entry)}</div>
            <p class="what">{text::interruption(download)}</p>
            <p class="why tabular">{text::next_attempt(download)}</p>
        }
        .into_any(),
        Condition::Booting(machine) => view! { <Stages machine=machine.clone()/> }.into_any(),
        Condition::Error(problem, _) => view! {
            <p class="what">{words::closed(&problem.what)}</p>
            <p class="why tabular clamped">{words::sentence(&problem.why)}</p>
        }
        .into_any(),
    }
}

/// How far a download is: in percent, and in bytes.
fn amount(download: &Download, entry: &MergedEntry) -> impl IntoView + use<> {
    let total = download.total.unwrap_or(entry.entry.size);
    view! {
        <div class="large-number">{words::percent(download.received, total)}<small>"%"</small></div>
        <div class="mono">{words::share(download.received, total)}</div>
    }
}

/// System, size, servers, and whether it works offline.
fn facts(entry: &MergedEntry, condition: &Condition) -> impl IntoView + use<> {
    let availability = Availability::of(entry, condition);
    let class = match availability {
        Availability::Here => "availability complete",
        Availability::Fetchable => "availability",
        Availability::Nowhere => "availability unavailable",
    };
    view! {
        <div class="ellipsis">{text::system(&entry.entry)}</div>
        <div class="mono">{words::bytes(entry.entry.size)}</div>
        <div class="label-rows">{sources(entry)}<div class=class><i></i>{availability.word()}</div></div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::condition::tests::{download, entry, machine, refusal};
    use crate::shell::Shell;
    use crate::testing::{Backend, Page, catalog};
    use pixelrts_shared::paths;
    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    const CANCEL: &str = "Cancel and keep what is here";

    fn card(entry: MergedEntry, prepare: impl FnOnce(Shell)) -> Page {
        let key = entry.entry.sha256;
        let prepare = |shell: Shell| {
            shell.catalog.set(catalog([entry]));
            prepare(shell);
        };
        Page::mount(prepare, move || view! { <Card key=key/> })
    }

    /// Status, the button beside the name, and a text that has to be on the card.
    async fn expect(page: &Page, status: &str, button: Option<&str>, shown: &str) {
        page.until(&format!("{status}, {button:?}, {shown:?}"), |page| {
            let buttons = page.buttons();
            page.attribute("article", "data-status").as_deref() == Some(status)
                && buttons.get(1).map(String::as_str) == button
                && page.text().contains(shown)
        })
        .await;
    }

    #[wasm_bindgen_test]
    async fn each_condition_has_its_words_and_its_button() {
        let up: &[(&str, &str)] = &[("office", "up"), ("north", "unknown")];
        expect(&card(entry(true, &[]), |_| {}), "idle", Some("Boot"), "Works offline").await;
        expect(&card(entry(false, up), |_| {}), "idle", Some("Boot"), "Needs network").await;
        let gone = card(entry(false, &[("office", "down")]), |_| {});
        expect(&gone, "unavailable", None, "Its only server, office, does not answer.").await;
        let downloads = |stage: &str, attempt: u32| {
            let download = Download { problem: (stage == "failed").then(refusal), ..download(stage, attempt) };
            card(entry(false, up), |shell| shell.downloads.accept(vec![download]))
        };
        expect(&downloads("downloading", 1), "downloading", Some(CANCEL), "10 of 100 B").await;
        expect(&downloads("connecting", 3), "retrying", Some(CANCEL), "This is attempt 3.").await;
        expect(&downloads("failed", 1), "error", Some("Boot from north"), "what.").await;
        let machines = |state: &str, stage: &str| {
            let machine = machine(state, Some(stage).filter(|stage| !stage.is_empty()));
            card(entry(true, &[]), |shell| shell.machines.accept(vec![machine]))
        };
        expect(&machines("starting", "mounting"), "booting", Some("Stop"), "Mounting").await;
        expect(&machines("running", "kernel"), "running", Some("Open"), "Up 1 s").await;
        expect(&machines("stopped", ""), "stopped", Some("Boot"), "Ended.").await;
    }

    #[wasm_bindgen_test]
    async fn without_the_backend_there_is_no_button() {
        let page = card(entry(true, &[]), |shell| shell.link.lost(refusal()));
        expect(&page, "idle", None, "Works offline").await;
    }

    #[wasm_bindgen_test]
    async fn a_click_on_boot_shows_at_once_and_a_refusal_is_shown_where_it_was_clicked() {
        let entry = entry(true, &[]);
        let backend = Backend::start();
        let call = format!("POST {}", paths::entry_boot(&entry.entry.sha256));
        backend.reply(&call, 409, &serde_json::to_value(refusal()).unwrap());
        let page = card(entry, |_| {});
        backend.hold();
        page.press("Boot");
        expect(&page, "booting", None, "Asking the backend").await;
        backend.release();
        expect(&page, "error", Some("Retry"), "what.").await;
        assert_eq!(backend.calls(), [format!("{call} {{}}")]);
        assert_eq!(page.attribute("article", "aria-current").as_deref(), Some("true"), "a click selects the image");
    }

    #[wasm_bindgen_test]
    async fn the_console_opens_by_itself_for_what_was_booted_here() {
        let entry = entry(true, &[]);
        let backend = Backend::start();
        let machine = machine("running", Some("kernel"));
        backend.reply(
            &format!("POST {}", paths::entry_boot(&entry.entry.sha256)),
            202,
            &json!({"machine_id": machine.id}),
        );
        backend.reply(&format!("GET {}", paths::MACHINES), 200, &json!([machine]));
        let page = card(entry, |_| {});
        page.press("Boot");
        page.until("the console is open", |page| untrack(|| page.shell.windows.all()) == [machine.id.clone()]).await;
    }
}
