//! The panel beside the wall: everything about the selected image.

use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;
use pixelrts_shared::Digest;
use pixelrts_shared::catalog::{MergedEntry, Source};

use crate::boot::store::Boot;
use crate::catalog::store::Catalog;
use crate::image::anatomy;
use crate::image::button::Button;
use crate::image::condition::Condition;
use crate::image::picture::{Bar, Picture};
use crate::image::state::State;
use crate::image::state_line::StateLine;
use crate::image::store::Images;
use crate::image::text::{self, Availability};
use crate::layout::store::Layout;
use crate::machines::view::{Stages, Summary};
use crate::servers::health;
use crate::servers::mark::Mark;
use crate::ui::problem::{ProblemView, copy_details};
use crate::ui::{self, icons};
use crate::words;

/// In pixels, as in the stylesheet.
const PLATE: (u32, u32) = (222, 280);
const NAME: u32 = 34;

#[component]
pub(crate) fn Details(key: Digest) -> impl IntoView {
    let (images, layout) = (Images::expect(), Layout::expect());
    let entry = Memo::new(move |_| images.catalog.entry(&key));
    let condition = images.condition(key);
    let problem = Memo::new(move |_| match condition.get() {
        Condition::Error(problem, _) => Some(problem),
        _ => None,
    });
    view! {
        <aside class="details" aria-label="Details" data-status=move || condition.with(Condition::status).name()>
            <div class="details-content">
                <button class="button borderless square details-close" aria-label="Close details" on:click=move |_| layout.update(|open| open.details = false)>
                    {ui::icon(icons::CLOSE)}
                </button>
                {move || entry.get().map(|entry| { let shown = Arc::clone(&entry); view! {
                    <h2>{entry.entry.name.to_string()}</h2>
                    <p class="quiet">{entry.entry.description.as_deref().map(str::to_owned)}</p>
                    <Anatomy entry=Arc::clone(&entry) condition=condition/>
                    {move || condition.with(|condition| progress(&shown, condition))}
                    <div class="rule"></div>
                    <Facts entry=Arc::clone(&entry)/>
                    <div class="rule"></div>
                    <Sources entry=Arc::clone(&entry)/>
                    <BootsWith entry=entry/>
                } })}
            </div>
            <div class="details-actions">
                <Button key=key condition=condition large=true/>
                {move || problem.get().map(|problem| view! {
                    <button class="button large" on:click=move |_| copy_details(&problem)>"Copy details"</button>
                })}
            </div>
        </aside>
    }
}

/// The picture, and where in it the segments are.
#[component]
fn Anatomy(entry: Arc<MergedEntry>, condition: Memo<Condition>) -> impl IntoView {
    let brackets = anatomy::brackets(&entry.entry, anatomy::height(&entry.entry, PLATE), NAME);
    let path = anatomy::leaders(&brackets);
    let names = brackets.into_iter().map(|bracket| {
        view! {
            <div style:top=format!("{}px", bracket.label)><b class="ellipsis">{bracket.name}</b><span class="mono">{words::bytes(bracket.size)}</span></div>
        }
    });
    view! {
        <div class="anatomy">
            <Picture key=entry.entry.sha256 condition=condition/>
            <div class="anatomy-legend"><svg width="28" height="290" aria-hidden="true"><path d=path/></svg>{names.collect_view()}</div>
        </div>
    }
}

/// What is happening now.
fn progress(entry: &Arc<MergedEntry>, condition: &Condition) -> AnyView {
    let head = |note: Option<String>| {
        let state = State::of(condition.status(), entry.cached);
        view! { <div class="subheading"><StateLine state=state/><span class="mono">{note}</span></div> }
    };
    match condition {
        Condition::Idle => {
            view! { {head(None)}<p class="quiet">{Availability::of(entry, condition).sentence()}</p> }.into_any()
        }
        Condition::Unavailable(why) => view! { {head(None)}<p class="quiet">{why.clone()}</p> }.into_any(),
        Condition::Stopped(machine) => {
            view! { {head(None)}<p class="quiet"><Summary machine=machine.clone()/></p> }.into_any()
        }
        Condition::Booting(machine) => view! { {head(None)}<Stages machine=machine.clone()/> }.into_any(),
        Condition::Running(machine) => {
            let accel = machine.accel.as_ref().map(|accel| words::sentence(&accel.reason));
            view! { {head(None)}<p><Summary machine=machine.clone()/></p><p class="quiet">{accel}</p> }.into_any()
        }
        Condition::Downloading(download) | Condition::Retrying(download) => view! {
            {head(Some(text::pace(download)))}
            <Bar key=entry.entry.sha256/>
            <p class="quiet tabular">{text::progress(download, &entry.entry)}</p>
        }
        .into_any(),
        Condition::Error(problem, _) => view! { {head(None)}<ProblemView problem=problem.clone()/> }.into_any(),
    }
}

#[component]
fn Facts(entry: Arc<MergedEntry>) -> impl IntoView {
    let about = &entry.entry;
    let digest = about.sha256.to_string();
    let short = words::shortened(&digest);
    let fact = |name: &'static str, value: Option<String>, class: &'static str| {
        value.map(|value| view! { <dt>{name}</dt><dd class=class><span class="ellipsis" title=value.clone()>{value.clone()}</span></dd> })
    };
    view! {
        <dl class="facts">
            {fact("System", Some(text::system(about)).filter(|system| !system.is_empty()), "")}
            {fact("Version", about.version.as_deref().map(str::to_owned), "")}
            {fact("Kernel", about.kernel_version.as_deref().map(str::to_owned), "mono")}
            {fact("Size", Some(words::bytes(about.size)), "mono")}
            <dt>"SHA-256"</dt>
            <dd>
                <span class="mono" title=digest.clone()>{short}</span>
                <button class="button borderless square tiny" aria-label="Copy digest" on:click=move |_| {
                    let digest = digest.clone();
                    spawn_local(async move { ui::clipboard::copy(&digest).await; });
                }>{ui::icon(icons::COPY)}</button>
            </dd>
        </dl>
    }
}

#[component]
fn Sources(entry: Arc<MergedEntry>) -> impl IntoView {
    let (catalog, several) = (Catalog::expect(), entry.sources.len() > 1);
    let row = |source: &Source| {
        let (name, source) = (health::name(source), source.clone());
        view! {
            <li><Mark server=source.server.clone()/><span class="ellipsis">{name}</span><span class="mono faint">{move || health::of_source(&Source { health: catalog.health(&source), ..source.clone() })}</span></li>
        }
    };
    view! {
        <h3 class="subheading">"Sources" {several.then(|| view! { <span>"all have the same image (same SHA-256)"</span> })}</h3>
        <ul class="source-list">{entry.sources.iter().map(row).collect_view()}</ul>
    }
}

/// What a machine of this image gets. Nothing is shown before the backend has sent its defaults.
#[component]
fn BootsWith(entry: Arc<MergedEntry>) -> impl IntoView {
    let boot = Boot::expect();
    move || {
        let (preview, cmdline) = (boot.preview(&entry), entry.entry.cmdline.clone());
        (preview.is_some() || cmdline.is_some()).then(|| {
            let (resources, notes) = preview.map(|preview| (preview.resources, preview.notes)).unzip();
            let note = |note: String| view! { <p class="quiet">{note}</p> };
            view! {
                <div class="rule"></div>
                <h3 class="subheading">"Boots with"</h3>
                <p>{resources}</p>
                {notes.unwrap_or_default().into_iter().map(note).collect_view()}
                {cmdline.map(|line| view! { <p class="mono quiet ellipsis" title=line.clone()>{line.clone()}</p> })}
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::condition::tests::{entry, machine, refusal};
    use crate::shell::Shell;
    use crate::testing::{Page, catalog};
    use pixelrts_shared::machine::Machine;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn details(entry: MergedEntry, prepare: impl FnOnce(Shell)) -> Page {
        let key = entry.entry.sha256;
        let prepare = |shell: Shell| {
            shell.catalog.set(catalog([entry]));
            prepare(shell);
        };
        Page::mount(prepare, move || view! { <Details key=key/> })
    }

    async fn expect_buttons(page: &Page, buttons: &[&str]) {
        page.until(&format!("{buttons:?}"), |page| page.buttons() == buttons).await;
    }

    #[wasm_bindgen_test]
    async fn there_is_one_button_and_one_more_for_an_error() {
        let idle = details(entry(true, &[]), |_| {});
        expect_buttons(&idle, &["Close details", "Copy digest", "Boot"]).await;
        let failed = details(entry(true, &[]), |shell| {
            shell.machines.accept(vec![Machine { problem: Some(refusal()), ..machine("failed", None) }]);
        });
        expect_buttons(&failed, &["Close details", "Copy digest", "Retry", "Copy details"]).await;
        assert!(failed.text().contains("Fix"), "{}", failed.text());
    }

    #[wasm_bindgen_test]
    async fn all_servers_that_have_the_image_are_listed_with_their_health() {
        let page = details(entry(false, &[("office", "up"), ("lab", "down")]), |_| {});
        page.until("both servers", |page| {
            let text = page.text();
            text.contains("officeanswers") && text.contains("labno answer") && text.contains("same SHA-256")
        })
        .await;
    }

    #[wasm_bindgen_test]
    async fn what_a_machine_gets_is_shown_once_the_backend_has_sent_its_defaults() {
        let page = details(entry(true, &[]), |_| {});
        assert!(!page.text().contains("Boots with"), "{}", page.text());
        page.shell.boot.set(serde_json::from_value(crate::boot::tests::settings()).unwrap());
        page.until("the defaults", |page| page.text().contains("Boots with1 GiB memory, 1 CPU")).await;
    }

    #[wasm_bindgen_test]
    async fn closing_closes() {
        let page = details(entry(true, &[]), |shell| shell.layout.update(|open| open.details = true));
        page.press("Close details");
        assert!(!untrack(|| page.shell.layout.shows_details()));
    }
}
