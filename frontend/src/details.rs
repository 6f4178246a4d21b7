//! The sheet over the wall about one image, in the order of what a person wants to know: how to boot it, what is in it,
//! where it comes from, what is kept of it, and facts.

mod contents;
mod facts;
mod kept;
mod now;
mod options;
mod sources;

use std::sync::Arc;

use leptos::html;
use leptos::prelude::*;
use pixelrts_shared::Digest;
use pixelrts_shared::emblem::Part;
use pixelrts_shared::machine::MachineState;
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, Node};

use crate::cache::store::Cache;
use crate::image::action::Action;
use crate::image::button::Button;
use crate::image::condition::Condition;
use crate::image::picture::emblem;
use crate::image::state::State;
use crate::image::state_line::state as state_line;
use crate::image::store::Images;
use crate::layout::store::Layout;
use crate::machines::view::Summary;
use crate::ui::{self, icons};

#[component]
pub(crate) fn Details(key: Digest) -> impl IntoView {
    let (images, layout, cache) = (Images::expect(), Layout::expect(), Cache::expect());
    let entry = Memo::new(move |_| images.catalog.entry(&key));
    let condition = images.condition(key);
    let state = Memo::new(move |_| {
        State::of(
            condition.with(Condition::status),
            entry.with(|entry| entry.as_ref().is_some_and(|entry| entry.cached)),
        )
    });
    let here = Memo::new(move |_| entry.with(|entry| entry.as_ref().is_some_and(|entry| entry.cached)));
    // What is kept changes when an image has arrived or gone.
    Effect::new(move |_| {
        // Reading it is what evaluates it: only then does it follow its entry.
        here.get();
        cache.read();
    });
    let sheet = NodeRef::<html::Aside>::new();
    give_focus_back(sheet);
    let refused = RwSignal::new(false);
    let is_rest = Memo::new(move |_| condition.with(takes_options));
    view! {
        <aside class="details" id="details" node_ref=sheet tabindex="-1" aria-labelledby="details-title" data-state=move || state.get().name()>
            {move || entry.get().map(|entry| view! {
                <header class="sheet-head">
                    <div class="sheet-emblem" inner_html=emblem(&entry, Part::Plate)></div>
                    <div class="sheet-name">
                        <h2 class="sheet-title" id="details-title">{entry.entry.name.to_string()}</h2>
                        {entry.entry.description.as_deref().map(|text| view! { <p class="quiet sheet-description">{text.to_owned()}</p> })}
                        <p class="state">{move || state_line(state.get())}<span class="ellipsis">{move || condition.with(figure)}</span></p>
                    </div>
                    <button class="button borderless square" aria-label="Close details" title="Esc" on:click=move |_| layout.update(|open| open.details = false)>
                        {ui::icon(icons::CLOSE)}
                    </button>
                </header>
            })}
            <div class="sheet-body">
                {move || entry.get().map(|entry| now::now(key, &entry, condition, is_rest))}
                {move || is_rest.get().then(|| entry.get().map(|entry| view! { <options::Options entry=entry refused=refused/> }))}
                {move || entry.get().map(|entry| view! {
                    <contents::Contents entry=Arc::clone(&entry)/>
                    {sources::sources(&entry)}
                    <kept::Kept key=key condition=condition/>
                    {facts::facts(&entry)}
                })}
            </div>
            <footer class="sheet-actions">
                <Foot key=key condition=condition refused=refused/>
            </footer>
        </aside>
    }
}

/// The one button that is wanted most, and Stop for what is on.
#[component]
fn Foot(key: Digest, condition: Memo<Condition>, refused: RwSignal<bool>) -> impl IntoView {
    let images = Images::expect();
    let on = Memo::new(move |_| match condition.get() {
        Condition::Running(machine) => Some(machine.state == MachineState::Stopping),
        _ => None,
    });
    // Options that cannot be used are told at their fields; nothing is booted with others instead.
    view! {
        {move || (!refused.get()).then(|| view! { <Button key=key condition=condition large=true/> })}
        {move || refused.get().then(|| view! { <p class="hint">"Correct the options above, or put them back."</p> })}
        {move || on.get().map(|stopping| view! {
            <button class="button large" disabled=stopping on:click=move |_| images.perform(key, Action::Stop)>
                {if stopping { "Stopping" } else { "Stop" }}
            </button>
        })}
    }
}

/// The next boot can be chosen for.
fn takes_options(condition: &Condition) -> bool {
    match condition {
        Condition::Idle | Condition::Stopped(_) | Condition::Error(..) | Condition::Unavailable(_) => true,
        Condition::Downloading(_) | Condition::Retrying(_) | Condition::Booting(_) | Condition::Running(_) => false,
    }
}

/// The one figure beside the state.
fn figure(condition: &Condition) -> AnyView {
    match condition {
        Condition::Running(machine) | Condition::Stopped(machine) => {
            view! { <Summary machine=machine.clone()/> }.into_any()
        }
        Condition::Downloading(download) => crate::image::text::pace(download).into_any(),
        Condition::Retrying(download) => crate::image::text::attempt(download).into_any(),
        _ => ().into_any(),
    }
}

/// When the sheet closes while the focus is in it, what had the focus before gets it again.
fn give_focus_back(sheet: NodeRef<html::Aside>) {
    let focused = || document().active_element();
    let before = StoredValue::new_local(focused());
    on_cleanup(move || {
        let inside = |sheet: &Node| focused().is_some_and(|focused| sheet.contains(Some(&focused)));
        let was_inside = sheet.get_untracked().is_some_and(|sheet| inside(&sheet));
        if !was_inside {
            return;
        }
        let before = before.try_get_value().flatten().and_then(|before| before.dyn_into::<HtmlElement>().ok());
        // What was there is gone when the wall has hung other cards meanwhile.
        if let Some(before) = before.filter(|before| before.is_connected()) {
            let _ = before.focus();
        }
    });
}

#[cfg(test)]
mod tests;
