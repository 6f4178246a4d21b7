//! The panel beside the wall: everything about the selected image.

use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use pixelrts_shared::Digest;
use pixelrts_shared::catalog::MergedEntry;
use pixelrts_shared::server::HealthState;

use super::anatomy;
use super::condition::{Condition, word};
use super::object::Button;
use super::picture::{Bar, Picture};
use crate::app::Shell;
use crate::machines::view::{Stages, memory, running};
use crate::ui::problem::{ProblemView, copy_details};
use crate::ui::{self, Glyph, icons};
use crate::words;

/// In pixels, as in the stylesheet.
const PLATE: (u32, u32) = (222, 280);
const NAME: u32 = 34;

/// The backend's, for an image that asks for none.
const DEFAULT_MEMORY: &str = "2G";

#[component]
pub(crate) fn Details(key: Digest) -> impl IntoView {
    let shell = Shell::get();
    let entry = Memo::new(move |_| shell.catalog.entry(&key));
    let condition = shell.condition(key);
    let problem = Memo::new(move |_| match condition.get() {
        Condition::Error(problem, _) => Some(problem),
        _ => None,
    });
    view! {
        <aside class="side" aria-label="Details" data-s=move || ui::slug(condition.with(Condition::status))>
            <div class="in">
                <button class="btn bare sq shut" aria-label="Close details" on:click=move |_| shell.desk.details.set(false)>{ui::icon(icons::CLOSE)}</button>
                {move || entry.get().map(|entry| { let shown = Arc::clone(&entry); view! {
                    <h2>{entry.entry.name.clone()}</h2>
                    <p class="q">{entry.entry.description.clone()}</p>
                    <Anatomy entry=Arc::clone(&entry) condition=condition/>
                    {move || condition.with(|condition| progress(shell, &shown, condition))}
                    <div class="hr"></div>
                    <Facts entry=Arc::clone(&entry)/>
                    <div class="hr"></div>
                    <Servers entry=Arc::clone(&entry)/>
                    <div class="hr"></div>
                    <BootsWith entry=entry/>
                } })}
            </div>
            <div class="act">
                <Button key=key condition=condition primary=true/>
                {move || problem.get().map(|problem| view! {
                    <button class="btn big" on:click=move |_| copy_details(&problem)>"Copy details"</button>
                })}
            </div>
        </aside>
    }
}

#[component]
fn Anatomy(entry: Arc<MergedEntry>, condition: Memo<Condition>) -> impl IntoView {
    let brackets = anatomy::brackets(&entry.entry, anatomy::height(&entry.entry, PLATE), NAME);
    let path = anatomy::leaders(&brackets);
    let names = brackets.into_iter().map(|bracket| {
        view! {
            <div style:top=format!("{}px", bracket.label)><b class="cut">{bracket.name}</b><span class="m">{words::bytes(bracket.size)}</span></div>
        }
    });
    view! {
        <div class="anat">
            <Picture key=entry.entry.sha256 condition=condition/>
            <div class="leg"><svg width="28" height="290" aria-hidden="true"><path d=path/></svg>{names.collect_view()}</div>
        </div>
    }
}

/// What happens now, in the words of the condition.
fn progress(shell: Shell, entry: &Arc<MergedEntry>, condition: &Condition) -> AnyView {
    let key = entry.entry.sha256;
    let head = |note: Option<String>| {
        let status = condition.status();
        view! { <div class="sub"><Glyph status=status/><span class="m">{note}</span></div> }
    };
    match condition {
        Condition::Idle => view! { {head(None)}<p class="q">{if entry.cached { "All of it is here, verified. It works offline." } else { "Boot fetches it first." }}</p> }.into_any(),
        Condition::Unavailable(why) => view! { {head(None)}<p class="q">{why.clone()}</p> }.into_any(),
        Condition::Stopped(machine) => view! { {head(None)}<p class="q">{running(shell, machine)}</p> }.into_any(),
        Condition::Booting(machine) => view! { {head(None)}<Stages machine=machine.clone()/> }.into_any(),
        Condition::Running(machine) => {
            let (machine, accel) = (machine.clone(), machine.accel.clone());
            view! {
                {head(None)}
                <p>{move || running(shell, &machine)}</p>
                <p class="q">{accel.map(|accel| words::sentence(&accel.reason))}</p>
            }
            .into_any()
        }
        Condition::Downloading(download) | Condition::Retrying(download) => {
            let total = download.total.unwrap_or(entry.entry.size);
            let note = [download.bytes_per_second.map(words::rate), download.eta_seconds.map(|left| format!("{} left", words::span(left)))];
            let note = note.into_iter().flatten().collect::<Vec<_>>().join(", ");
            let says = match &download.problem {
                Some(problem) => format!("{} {}", words::closed(&problem.what), words::sentence(&problem.why)),
                None => format!("{}, {} %", words::share(download.received, total), words::percent(download.received, total)),
            };
            view! { {head(Some(note))}<Bar key=key/><p class="q t">{says}</p> }.into_any()
        }
        Condition::Error(problem, _) => view! { {head(None)}<ProblemView problem=problem.clone()/> }.into_any(),
    }
}

#[component]
fn Facts(entry: Arc<MergedEntry>) -> impl IntoView {
    let about = &entry.entry;
    let digest = about.sha256.to_string();
    let short = format!("{}…{}", &digest[..8], &digest[58..]);
    let fact = |name: &'static str, value: Option<String>, class: &'static str| {
        value.map(|value| view! { <dt>{name}</dt><dd class=class><span class="cut" title=value.clone()>{value.clone()}</span></dd> })
    };
    view! {
        <dl class="facts">
            {fact("System", Some(ui::system(about)).filter(|system| !system.is_empty()), "")}
            {fact("Version", about.version.clone(), "")}
            {fact("Kernel", about.kernel_version.clone(), "m")}
            {fact("Size", Some(words::bytes(about.size)), "m")}
            <dt>"Digest"</dt>
            <dd>
                <span class="m" title=digest.clone()>{short}</span>
                <button class="btn bare sq tiny" aria-label="Copy digest" on:click=move |_| {
                    let digest = digest.clone();
                    spawn_local(async move { ui::clipboard::copy(&digest).await; });
                }>{ui::icon(icons::COPY)}</button>
            </dd>
        </dl>
    }
}

#[component]
fn Servers(entry: Arc<MergedEntry>) -> impl IntoView {
    let shell = Shell::get();
    let many = entry.sources.len() > 1;
    let sources = entry.sources.iter().map(|source| {
        let health = match source.health.state {
            _ if source.server.is_local() => "on disk".to_owned(),
            HealthState::Up => source.health.latency_ms.map_or_else(|| "answers".to_owned(), |ms| format!("{ms}\u{a0}ms")),
            HealthState::Down => "no answer".to_owned(),
            HealthState::Unknown => "not asked yet".to_owned(),
        };
        view! { <li>{shell.servers.mark(&source.server)}<span class="cut">{ui::server_name(source)}</span><span class="m q3">{health}</span></li> }
    });
    view! {
        <h3 class="sub">"Sources" {many.then(|| view! { <span>"the same image, by digest"</span> })}</h3>
        <ul class="srcs">{sources.collect_view()}</ul>
    }
}

#[component]
fn BootsWith(entry: Arc<MergedEntry>) -> impl IntoView {
    let about = &entry.entry;
    let size = format!("{} memory, 2\u{a0}CPUs", memory(about.memory.as_deref().unwrap_or(DEFAULT_MEMORY)));
    view! {
        <h3 class="sub">"Boots with"</h3>
        <p>{size}</p>
        {about.cmdline.clone().map(|line| view! { <p class="m q cut" title=line.clone()>{line.clone()}</p> })}
    }
}

/// Said by assistive technology when the condition changes.
pub(crate) fn announcement(name: &str, condition: &Condition) -> String {
    match condition {
        Condition::Downloading(download) => {
            let total = download.total.unwrap_or(0);
            format!("{name}: {} percent", words::percent(download.received, total))
        }
        other => format!("{name}: {}", word(other.status())),
    }
}
