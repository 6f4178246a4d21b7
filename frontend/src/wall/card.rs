//! The card of an image on the wall: what hangs there, its label, one button.
//!
//! The label says, line by line: the name; system and size; the state and its one figure; one line that helps to decide.

use std::sync::Arc;

use leptos::prelude::*;
use pixelrts_shared::Digest;
use pixelrts_shared::catalog::MergedEntry;
use pixelrts_shared::download::{Download, DownloadStage};
use pixelrts_shared::machine::{BootStage, Machine};

use super::row;
use super::sort::Look;
use super::store::Wall;
use crate::clock::Clock;
use crate::image::action::Action;
use crate::image::button::Button;
use crate::image::condition::Condition;
use crate::image::picture::{Plate, Stamp};
use crate::image::state::State;
use crate::image::state_line::state as state_line;
use crate::image::store::Images;
use crate::image::text;
use crate::layout::store::Layout;
use crate::machines::stages::{self, Progress};
use crate::machines::store::Machines;
use crate::machines::view::Summary;
use crate::servers::view::sources;
use crate::ui::{self, icons};
use crate::words;

#[component]
pub(crate) fn Card(key: Digest) -> impl IntoView {
    let is_row = untrack(|| Wall::expect().arrangement()).look == Look::List;
    let (images, wall, layout) = (Images::expect(), Wall::expect(), Layout::expect());
    let entry = Memo::new(move |_| images.catalog.entry(&key));
    let condition = images.condition(key);
    let state = Memo::new(move |_| {
        let here = entry.with(|entry| entry.as_ref().is_some_and(|entry| entry.cached));
        State::of(condition.with(Condition::status), here)
    });
    // The columns may change without a move, so the place on the wall depends on both.
    let place = Memo::new(move |_| wall.place(&key).map(|place| (place, wall.line(place), wall.space().columns())));
    let entrance = Memo::new(move |_| wall.is_entrance(&key));
    let tabindex = Signal::derive(move || if entrance.get() { "0" } else { "-1" });
    let name = Memo::new(move |_| images.catalog.name(&key));
    let kept = Memo::new(move |_| kept(images, &key));
    let moves = Memo::new(move |_| matches!(state.get(), State::Arriving | State::Retrying));
    let head = move |entry: Arc<MergedEntry>| {
        let name = entry.entry.name.to_string();
        let title = format!("{name}: details");
        view! {
            <h2 class="image-name">
                <button tabindex="-1" title=title on:click=move |_| layout.update(|open| open.details = true)>
                    <span>{name}</span>
                </button>
            </h2>
        }
    };
    let content = match is_row {
        true => row::cells(key, entry, state, condition, tabindex).into_any(),
        false => view! {
            <Plate key=key state=state/>
            <div class="card-label">
                <div class="card-name">
                    {move || moves.get().then(|| view! { <Stamp key=key/> })}
                    {move || entry.get().map(head)}
                </div>
                {move || entry.get().map(|entry| condition.with(|condition| label(&entry, condition, kept.get())))}
                <div class="card-actions">
                    {move || entry.get().map(|entry| sources(&entry))}
                    <StopButton key=key state=state tabindex=tabindex/>
                    <Button key=key condition=condition tabindex=tabindex/>
                    {move || entry.get().map(|entry| like(wall, images, &entry, tabindex))}
                </div>
            </div>
        }
        .into_any(),
    };
    view! {
        <article
            class=if is_row { "image-row" } else { "image-card" }
            id=card_id(&key)
            data-key=key.to_string()
            data-state=move || state.get().name()
            aria-label=move || format!("{}, {}", name.get(), state.get().word())
            aria-current=move || (wall.selected() == Some(key)).then_some("true")
            aria-posinset=move || place.get().map(|(place, ..)| (place + 1).to_string())
            aria-setsize=move || wall.shown_count().to_string()
            tabindex=tabindex
            style=("inset", move || place.get().map(|(_, line, columns)| inset(line, columns)))
            on:click=move |_| wall.select(key)
            on:focusin=move |_| wall.select(key)
            on:dblclick=move |_| images.begin(key)
        >
            {content}
        </article>
    }
}

/// Ends the machine of a running image, as its console does.
#[component]
fn StopButton(key: Digest, state: Memo<State>, tabindex: Signal<&'static str>) -> impl IntoView {
    let images = Images::expect();
    let can_stop = Memo::new(move |_| state.get() == State::Running && images.link.is_up());
    move || {
        can_stop.get().then(|| {
            view! {
                <button class="button borderless square" tabindex=move || tabindex.get() aria-label="Stop" title="Stop"
                    on:click=move |_| images.perform(key, Action::Stop) on:dblclick=move |event| event.stop_propagation()>
                    {ui::icon(icons::POWER)}
                </button>
            }
        })
    }
}

/// Makes the image a favorite, or no favorite any more.
fn like(wall: Wall, images: Images, entry: &MergedEntry, tabindex: Signal<&'static str>) -> impl IntoView + use<> {
    let (key, liked) = (entry.entry.sha256, entry.favorite);
    view! {
        <button class="button borderless square like" tabindex=move || tabindex.get() aria-label="Favorite" title="Favorite"
            aria-pressed=liked.to_string() disabled=move || !images.link.is_up()
            on:click=move |_| wall.like(key, !liked) on:dblclick=move |event| event.stop_propagation()>
            {ui::icon(if liked { icons::STAR_FULL } else { icons::STAR })}
        </button>
    }
}

/// Where a card is on the wall: all rows are equally high, and its columns share the width.
pub(crate) fn inset(line: usize, columns: usize) -> String {
    let (row, column) = (line / columns, line % columns);
    format!(
        "calc({row}*(var(--card-height) + var(--card-gap))) auto auto calc({column}*(100% + var(--card-gap))/{columns})"
    )
}

/// The id of a card in the page, by which keys find it.
pub(crate) fn card_id(key: &Digest) -> String {
    format!("o-{key}")
}

/// The bytes that a cancelled download has left here.
fn kept(images: Images, key: &Digest) -> u64 {
    let cancelled = |download: &Download| download.stage == DownloadStage::Cancelled;
    images.downloads.of(key).filter(cancelled).map_or(0, |download| download.received)
}

/// Facts, state and deciding line.
fn label(entry: &MergedEntry, condition: &Condition, kept: u64) -> AnyView {
    let facts = text::facts(&entry.entry);
    view! { <p class="image-facts ellipsis">{facts}</p>{state_and_note(entry, condition, kept)} }.into_any()
}

fn state_and_note(entry: &MergedEntry, condition: &Condition, kept: u64) -> AnyView {
    let state = State::of(condition.status(), entry.cached);
    let line =
        move |figure: AnyView| view! { <p class="state">{state_line(state)}<span class="ellipsis">{figure}</span></p> };
    let none = || ().into_any();
    match condition {
        Condition::Idle => view! { {line(none())}<p class="card-note">{text::cost(entry, kept)}</p> }.into_any(),
        Condition::Unavailable(why) => view! { {line(none())}<p class="card-note">{why.clone()}</p> }.into_any(),
        Condition::Running(machine) => {
            view! { {line(none())}<p class="card-note tabular"><Summary machine=machine.clone()/></p> }.into_any()
        }
        Condition::Stopped(machine) => {
            let cost = text::cost(entry, kept);
            view! { {line(none())}<p class="card-note"><Summary machine=machine.clone()/>{format!(" {cost}.")}</p> }
                .into_any()
        }
        Condition::Downloading(download) => {
            view! { {amount(download, entry)}{line(text::pace(download).into_any())} }.into_any()
        }
        Condition::Retrying(download) => {
            let note = format!("{} {}", text::interruption(download), text::kept(download, &entry.entry));
            view! { {line(text::attempt(download).into_any())}<p class="card-note tabular">{note}</p> }.into_any()
        }
        Condition::Booting(machine) => view! { {line(none())}<StageTrack machine=machine.clone()/> }.into_any(),
        Condition::Error(problem, _) => {
            // The reason is in the details; a pointer shows it here too.
            let why = words::sentence(&problem.why);
            view! { {line(none())}<p class="card-note what" title=why>{words::closed(&problem.what)}</p> }.into_any()
        }
    }
}

/// How far a download is: in percent, and in bytes.
fn amount(download: &Download, entry: &MergedEntry) -> impl IntoView + use<> {
    let total = download.total.unwrap_or(entry.entry.size);
    view! {
        <p class="amount"><b class="percent">{words::percent(download.received, total)}<small>"%"</small></b>
            <span class="tabular ellipsis">{words::share(download.received, total)}</span></p>
    }
}

/// The stages of a boot as a row of segments, and the current one in words. Without a machine, the backend has not
/// accepted the boot yet.
#[component]
fn StageTrack(machine: Option<Machine>) -> impl IntoView {
    let (machines, clock) = (Machines::expect(), Clock::expect());
    let Some(machine) = machine else {
        return view! { <p class="card-note">"Asking the backend"</p> }.into_any();
    };
    let progress = stages::progress(&machine);
    let current = progress.iter().position(|(_, progress)| *progress == Progress::Now);
    let word = current.map(|at| stages::word(progress[at].0));
    let said = current.map(|at| format!("Stage {} of {}, {}", at + 1, progress.len(), stages::word(progress[at].0)));
    let segment = |(_, progress): &(BootStage, Progress)| {
        let class = match progress {
            Progress::Done(_) => "",
            Progress::Now => "now",
            Progress::ToCome => "to-come",
        };
        view! { <i class=class></i> }
    };
    let elapsed = move || machines.elapsed_in_stage(&machine, clock.now()).map(|ms| words::span(ms / 1000));
    view! {
        <div class="stage-track" role="img" aria-label=said>{progress.iter().map(segment).collect_view()}</div>
        <p class="card-note"><b class="strong">{word}</b>" "<span class="tabular">{elapsed}</span></p>
    }
    .into_any()
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

    /// The strong button: the name is before it, the star behind it, and Stop is before Open.
    fn action(buttons: &[String]) -> Option<&str> {
        buttons.iter().skip(1).rev().map(String::as_str).find(|button| *button != "Favorite")
    }

    /// State, the strong button, and a text that has to be on the card.
    async fn expect(page: &Page, state: &str, button: Option<&str>, shown: &str) {
        page.until(&format!("{state}, {button:?}, {shown:?}"), |page| {
            let buttons = page.buttons();
            page.attribute("article", "data-state").as_deref() == Some(state)
                && action(&buttons) == button
                && page.text().contains(shown)
        })
        .await;
    }

    #[wasm_bindgen_test]
    async fn each_condition_has_its_words_and_its_button() {
        let up: &[(&str, &str)] = &[("office", "up"), ("north", "unknown")];
        expect(&card(entry(true, &[]), |_| {}), "here", Some("Boot"), "On this computerWorks without a network").await;
        expect(&card(entry(false, up), |_| {}), "elsewhere", Some("Boot"), "Not here yetBoot fetches 100 B").await;
        let gone = card(entry(false, &[("office", "down")]), |_| {});
        expect(&gone, "away", None, "Its only server, office, does not answer.").await;
        let downloads = |stage: &str, attempt: u32| {
            let download = Download { problem: (stage == "failed").then(refusal), ..download(stage, attempt) };
            card(entry(false, up), |shell| shell.downloads.accept(vec![download]))
        };
        expect(&downloads("downloading", 1), "arriving", Some(CANCEL), "10 of 100 B").await;
        expect(
            &downloads("connecting", 3),
            "retrying",
            Some(CANCEL),
            "Retryingattempt 3The last attempt failed. 10 of 100 B are kept.",
        )
        .await;
        expect(&downloads("failed", 1), "failed", Some("Boot from north"), "what.").await;
        expect(&downloads("cancelled", 1), "elsewhere", Some("Boot"), "Boot fetches 90 B, 10 B are here").await;
        let machines = |state: &str, stage: &str| {
            let machine = machine(state, Some(stage).filter(|stage| !stage.is_empty()));
            card(entry(true, &[]), |shell| shell.machines.accept(vec![machine]))
        };
        expect(&machines("starting", "mounting"), "booting", Some("Stop"), "Mounting").await;
        expect(&machines("running", "kernel"), "running", Some("Open"), "Up 1 s").await;
        expect(&machines("stopped", ""), "stopped", Some("Boot"), "Ended. Works without a network.").await;
    }

    #[wasm_bindgen_test]
    async fn the_plate_has_the_emblem_at_rest_and_the_picture_while_it_arrives() {
        let thumbnail = |page: &Page| page.find(".plate img").is_some();
        let rest = card(entry(false, &[("office", "up")]), |_| {});
        rest.until("the emblem", |page| page.find(".plate-face > svg.emblem-plate").is_some()).await;
        assert!(!thumbnail(&rest), "at rest the network is asked for nothing");
        let arriving =
            card(entry(false, &[("office", "up")]), |shell| shell.downloads.accept(vec![download("downloading", 1)]));
        arriving.until("the picture", |page| thumbnail(page) && page.find(".card-name .emblem-stamp").is_some()).await;
        assert_eq!(arriving.attribute(".selvage", "data-here").as_deref(), Some("part"));
    }

    #[wasm_bindgen_test]
    async fn a_card_knows_its_place_among_all_images() {
        let page = card(entry(true, &[]), |_| {});
        let place =
            |page: &Page| ["aria-posinset", "aria-setsize", "tabindex"].map(|name| page.attribute("article", name));
        assert_eq!(place(&page), ["1", "1", "0"].map(|text| Some(text.to_owned())));
    }

    #[wasm_bindgen_test]
    async fn without_the_backend_there_is_no_button() {
        let page = card(entry(true, &[]), |shell| shell.link.lost(refusal()));
        expect(&page, "here", None, "Works without a network").await;
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
        expect(&page, "failed", Some("Retry"), "what.").await;
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
