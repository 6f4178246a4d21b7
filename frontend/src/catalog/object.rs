//! An image on the wall: picture, label, one button.

use std::sync::Arc;

use leptos::prelude::*;
use pixelrts_shared::Digest;
use pixelrts_shared::catalog::MergedEntry;
use pixelrts_shared::download::Download;

use super::condition::{Act, Condition, word};
use super::picture::Picture;
use crate::app::Shell;
use crate::machines::view::{Stages, running};
use crate::ui::{self, Glyph, icons};
use crate::words;

#[component]
pub(crate) fn Object(key: Digest) -> impl IntoView {
    let shell = Shell::get();
    let entry = Memo::new(move |_| shell.catalog.entry(&key));
    let condition = shell.condition(key);
    let status = Memo::new(move |_| condition.with(Condition::status));
    let selected = Memo::new(move |_| shell.desk.selected() == Some(key));
    let name = Memo::new(move |_| {
        entry.with(|entry| entry.as_ref().map(|entry| entry.entry.name.clone()).unwrap_or_default())
    });
    let enter = move |_| {
        let act = untrack(|| condition.with(|condition| condition.act(shell.link.is_up())));
        act.filter(Act::begins).into_iter().for_each(|act| shell.act(key, act));
    };
    view! {
        <article
            class="obj"
            id=format!("o-{key}")
            data-key=key.to_string()
            data-status=move || ui::slug(status.get())
            aria-label=move || format!("{}, {}", name.get(), word(status.get()))
            aria-current=move || selected.get().then_some("true")
            tabindex=move || if shell.desk.is_entrance(&key) { "0" } else { "-1" }
            on:click=move |_| shell.desk.select(key)
            on:focus=move |_| shell.desk.select(key)
            on:dblclick=enter
        >
            <Picture key=key condition=condition/>
            <div class="lab">
                <h3><button class="name" tabindex="-1" title=move || format!("{}: details", name.get()) on:click=move |_| shell.desk.details.set(true)>{name}</button></h3>
                {move || entry.get().map(|entry| condition.with(|condition| label(shell, &entry, condition)))}
                <div class="end">
                    {move || view! { <Glyph status=status.get()/> }}
                    <Button key=key condition=condition/>
                </div>
            </div>
        </article>
    }
}

/// The one button of an object.
#[component]
pub(crate) fn Button(key: Digest, condition: Memo<Condition>, #[prop(optional)] primary: bool) -> impl IntoView {
    let shell = Shell::get();
    let act = Memo::new(move |_| condition.with(|condition| condition.act(shell.link.is_up())));
    let class = if primary { "btn pri big" } else { "btn soft" };
    move || {
        act.get().map(|act| {
            let (label, small) = (act.label(), act == Act::Cancel && !primary);
            let hint = small.then(|| label.clone());
            let press = move |event: web_sys::MouseEvent| {
                event.stop_propagation();
                shell.desk.select(key);
                shell.act(key, act.clone());
            };
            view! {
                <button class=if small { "btn sq" } else { class } aria-label=hint.clone() title=hint
                    on:click=press on:dblclick=move |event| event.stop_propagation()>
                    {if small { ui::icon(icons::CLOSE).into_any() } else { view! { <span class="cut">{label}</span> }.into_any() }}
                </button>
            }
        })
    }
}

fn label(shell: Shell, entry: &Arc<MergedEntry>, condition: &Condition) -> AnyView {
    match condition {
        Condition::Idle => view! { <Facts entry=Arc::clone(entry)/> }.into_any(),
        Condition::Stopped(machine) => {
            let ended = running(shell, machine);
            view! { <Facts entry=Arc::clone(entry)/><p class="t">{ended}</p> }.into_any()
        }
        Condition::Unavailable(why) => {
            view! { <Facts entry=Arc::clone(entry) away=true/><p class="why">{why.clone()}</p> }.into_any()
        }
        Condition::Downloading(download) => {
            let rate = download.bytes_per_second.map(words::rate);
            let left = download.eta_seconds.map(|seconds| format!("{} left", words::span(seconds)));
            view! {
                <div class="rows tight">
                    {amount(download, entry)}
                    <div class="m">{rate}</div>
                    <div class="m">{left}</div>
                    {sources(shell, entry)}
                </div>
            }
            .into_any()
        }
        Condition::Retrying(download) => {
            let what = download
                .problem
                .as_ref()
                .map_or_else(|| "The server did not answer.".to_owned(), |problem| words::closed(&problem.what));
            let kept = format!("Try {}. It goes on where it was.", download.attempt);
            view! {
                <div class="rows tight">{amount(download, entry)}</div>
                <p class="what">{what}</p>
                <p class="why t">{kept}</p>
            }
            .into_any()
        }
        Condition::Booting(machine) => view! { <Stages machine=machine.clone()/> }.into_any(),
        Condition::Running(machine) => {
            let machine = machine.clone();
            view! { <Facts entry=Arc::clone(entry)/><p class="t">{move || running(shell, &machine)}</p> }.into_any()
        }
        Condition::Error(problem, _) => view! {
            <p class="what">{words::closed(&problem.what)}</p>
            <p class="why t clamp">{words::sentence(&problem.why)}</p>
        }
        .into_any(),
    }
}

/// Percent, and bytes of bytes.
fn amount(download: &Download, entry: &MergedEntry) -> impl IntoView + use<> {
    let total = download.total.unwrap_or(entry.entry.size);
    view! {
        <div class="big-n">{words::percent(download.received, total)}<small>"%"</small></div>
        <div class="m">{words::share(download.received, total)}</div>
    }
}

/// System, size, servers, and whether it works offline.
#[component]
fn Facts(entry: Arc<MergedEntry>, #[prop(optional)] away: bool) -> impl IntoView {
    let about = &entry.entry;
    let system = ui::system(about);
    let (kind, words) = match (entry.cached, away) {
        (true, _) => ("av here", "Works offline"),
        (false, true) => ("av away", "Not cached"),
        (false, false) => ("av", "Needs network"),
    };
    view! {
        <div class="cut">{system}</div>
        <div class="m">{words::bytes(about.size)}</div>
        <div class="rows">{sources(Shell::get(), &entry)}<div class=kind><i></i>{words}</div></div>
    }
}

/// Marks and names of the servers that have it.
fn sources(shell: Shell, entry: &MergedEntry) -> impl IntoView + use<> {
    let marks = entry.sources.iter().map(|source| shell.servers.mark(&source.server)).collect_view();
    let names = entry.sources.iter().map(ui::server_name).collect::<Vec<_>>().join(", ");
    (!entry.sources.is_empty()).then(|| view! { <div class="src">{marks}<span class="cut">{names}</span></div> })
}
