//! How the image boots next: memory, processors, network, command line. What is shown is what the machine gets.

use std::sync::Arc;

use leptos::prelude::*;
use pixelrts_shared::Size;
use pixelrts_shared::boot_decision::BootSettings;
use pixelrts_shared::catalog::MergedEntry;
use pixelrts_shared::machine::Net;

use crate::boot::options::{Draft, Line, Refusals, counts, memories};
use crate::boot::store::Boot;
use crate::boot::{Preview, own_line};
use crate::words;

/// Nothing is shown before the backend has sent its defaults. `refused`: something cannot be used.
#[component]
pub(super) fn Options(entry: Arc<MergedEntry>, refused: RwSignal<bool>) -> impl IntoView {
    let boot = Boot::expect();
    let key = entry.entry.sha256;
    let draft = RwSignal::new(Draft::of(&untrack(|| boot.request(&key))));
    let refusals = RwSignal::new(Refusals::default());
    let change = Callback::new(move |change: Box<dyn FnOnce(&mut Draft)>| {
        draft.update(change);
        let told = draft.with_untracked(|draft| boot.choose(key, draft)).err();
        refused.set(told.is_some());
        refusals.set(told.unwrap_or_default());
    });
    on_cleanup(move || _ = refused.try_set(false));
    let (known, about) = (Memo::new(move |_| boot.settings()), Arc::clone(&entry));
    let notes = move || boot.preview(&about).map(|preview| preview.notes).unwrap_or_default();
    move || {
        let settings = known.get()?;
        let own = Preview::of(&Default::default(), &entry, &settings);
        let line = own_line(&entry.entry, &settings).to_owned();
        let notes = notes.clone();
        Some(view! {
            <section class="sheet-section">
                <h3 class="section-title">"Boots with"
                    {move || draft.with(Draft::differs).then(|| view! {
                        <button class="button small borderless" on:click=move |_| change.run(Box::new(|draft| *draft = Draft::default()))>"Put all back"</button>
                    })}
                </h3>
                <div class="option-grid">
                    <Memory own=own.memory settings=settings.clone() draft=draft refusals=refusals change=change/>
                    <Processors own=own.cpus settings=settings draft=draft refusals=refusals change=change/>
                    <Network own=own.net draft=draft change=change/>
                    <CommandLine own=line draft=draft refusals=refusals change=change/>
                </div>
                {move || notes().into_iter().map(|note| view! { <p class="hint">{note}</p> }).collect_view()}
            </section>
        })
    }
}

type Change = Callback<Box<dyn FnOnce(&mut Draft)>>;

/// One of several: radio buttons of the browser, so that arrow keys move among them.
fn choice(
    name: &'static str,
    label: String,
    chosen: impl Fn() -> bool + Send + Sync + 'static,
    choose: impl Fn() + 'static,
) -> impl IntoView {
    view! {
        <label><input type="radio" name=name prop:checked=chosen on:change=move |_| choose()/><span>{label}</span></label>
    }
}

/// A field for what is not among the choices, with why it cannot be used.
fn field(
    id: &'static str,
    label: &'static str,
    value: impl Fn() -> String + Send + Sync + 'static,
    refusal: Memo<Option<String>>,
    write: impl Fn(String) + 'static,
) -> impl IntoView {
    let told = format!("{id}-refusal");
    let described = told.clone();
    view! {
        <input class="option-field" id=id aria-label=label autocomplete="off" spellcheck="false" prop:value=value
            aria-invalid=move || refusal.get().is_some().to_string() aria-describedby=move || refusal.get().map(|_| described.clone())
            on:input=move |event| write(event_target_value(&event))/>
        {move || refusal.get().map(|why| view! { <p class="option-refusal" id=told.clone() role="alert">{why}</p> })}
    }
}

#[component]
fn Memory(
    own: Size,
    settings: BootSettings,
    draft: RwSignal<Draft>,
    refusals: RwSignal<Refusals>,
    change: Change,
) -> impl IntoView {
    let offered = memories(own, &settings.limits);
    let among = offered.clone();
    // The image's own size follows the image: choosing it puts the option back.
    let text = move |size: Size| if size == own { String::new() } else { size.to_string() };
    let other = RwSignal::new(draft.with_untracked(|draft| !among.iter().any(|size| text(*size) == draft.memory)));
    let row = move |size: Size| {
        choice(
            "memory",
            words::memory(size),
            move || !other.get() && draft.with(|draft| draft.memory == text(size)),
            move || {
                other.set(false);
                change.run(Box::new(move |draft| draft.memory = text(size)));
            },
        )
    };
    put_back(draft, other, |draft| draft.memory.is_empty());
    let refusal = Memo::new(move |_| refusals.with(|refusals| refusals.memory.clone()));
    view! {
        <span class="option-name" id="option-memory">"Memory"</span>
        <div class="option-stack">
            <div class="choice-group" role="radiogroup" aria-labelledby="option-memory">
                {offered.into_iter().map(row).collect_view()}
                {choice("memory", "Other".to_owned(), move || other.get(), move || other.set(true))}
            </div>
            {move || other.get().then(|| field("memory-field", "Memory, as in 1536M", move || draft.with(|draft| draft.memory.clone()), refusal, move |text| change.run(Box::new(move |draft| draft.memory = text))))}
        </div>
    }
}

#[component]
fn Processors(
    own: u32,
    settings: BootSettings,
    draft: RwSignal<Draft>,
    refusals: RwSignal<Refusals>,
    change: Change,
) -> impl IntoView {
    let offered = counts(own, &settings.limits);
    let among = offered.clone();
    let text = move |count: u32| if count == own { String::new() } else { count.to_string() };
    let other = RwSignal::new(draft.with_untracked(|draft| !among.iter().any(|count| text(*count) == draft.cpus)));
    let row = move |count: u32| {
        choice(
            "cpus",
            count.to_string(),
            move || !other.get() && draft.with(|draft| draft.cpus == text(count)),
            move || {
                other.set(false);
                change.run(Box::new(move |draft| draft.cpus = text(count)));
            },
        )
    };
    put_back(draft, other, |draft| draft.cpus.is_empty());
    let refusal = Memo::new(move |_| refusals.with(|refusals| refusals.cpus.clone()));
    view! {
        <span class="option-name" id="option-cpus">"CPUs"</span>
        <div class="option-stack">
            <div class="choice-group" role="radiogroup" aria-labelledby="option-cpus">
                {offered.into_iter().map(row).collect_view()}
                {choice("cpus", "Other".to_owned(), move || other.get(), move || other.set(true))}
            </div>
            {move || other.get().then(|| field("cpus-field", "Number of CPUs", move || draft.with(|draft| draft.cpus.clone()), refusal, move |text| change.run(Box::new(move |draft| draft.cpus = text))))}
        </div>
    }
}

/// A field for another value is left when everything is put back.
fn put_back(draft: RwSignal<Draft>, other: RwSignal<bool>, is_own: fn(&Draft) -> bool) {
    Effect::new(move |before: Option<bool>| {
        let differs = draft.with(Draft::differs);
        if before == Some(true) && !differs && draft.with_untracked(is_own) {
            other.set(false);
        }
        differs
    });
}

#[component]
fn Network(own: Net, draft: RwSignal<Draft>, change: Change) -> impl IntoView {
    let row = move |(net, label): (Net, &'static str)| {
        let value = move || Some(net).filter(|net| *net != own);
        choice(
            "net",
            label.to_owned(),
            move || draft.with(|draft| draft.net.unwrap_or(own) == net),
            move || {
                change.run(Box::new(move |draft| draft.net = value()));
            },
        )
    };
    // Every machine that asks for the internet is refused so far, so it is not offered.
    let rows = [(Net::None, "None"), (Net::Restricted, "Restricted")].map(row);
    let hint = move || match draft.with(|draft| draft.net.unwrap_or(own)) {
        Net::None => "The machine has no network card.",
        Net::Restricted => "The machine has a network card, and reaches nothing: neither this computer nor a network.",
        Net::Internet => "The machine reaches the internet.",
    };
    view! {
        <span class="option-name" id="option-net">"Network"</span>
        <div class="option-stack">
            <div class="choice-group" role="radiogroup" aria-labelledby="option-net">{rows.into_iter().collect_view()}</div>
            <p class="hint">{hint}</p>
        </div>
    }
}

#[component]
fn CommandLine(own: String, draft: RwSignal<Draft>, refusals: RwSignal<Refusals>, change: Change) -> impl IntoView {
    let refusal = Memo::new(move |_| refusals.with(|refusals| refusals.text.clone()));
    let line = Memo::new(move |_| draft.with(|draft| draft.line));
    let own = StoredValue::new(own);
    let row = move |(kind, label): (Line, &'static str)| {
        choice(
            "line",
            label.to_owned(),
            move || line.get() == kind,
            move || {
                change.run(Box::new(move |draft| {
                    draft.line = kind;
                    // The whole line is easier to change than to write.
                    draft.text = if kind == Line::Replace { own.get_value() } else { String::new() };
                }));
            },
        )
    };
    let rows = [(Line::Own, "Its own"), (Line::Append, "Append"), (Line::Replace, "Replace")].map(row);
    view! {
        <span class="option-name top" id="option-line">"Command line"</span>
        <div class="option-stack">
            <div class="choice-group" role="radiogroup" aria-labelledby="option-line">{rows.into_iter().collect_view()}</div>
            {move || (line.get() != Line::Replace).then(|| view! { <p class="mono quiet option-line">{own.get_value()}</p> })}
            {move || (line.get() != Line::Own).then(|| field("line-field", "Command line", move || draft.with(|draft| draft.text.clone()), refusal, move |text| change.run(Box::new(move |draft| draft.text = text))))}
        </div>
    }
}
