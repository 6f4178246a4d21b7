//! How the image boots next: memory, processors, network, command line. What is shown is what the machine gets.

use std::fmt::Display;
use std::sync::Arc;

use leptos::prelude::*;
use pixelrts_shared::Size;
use pixelrts_shared::boot_decision::HostLimits;
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
                    {memory(own.memory, &settings.limits).view(draft, refusals, change)}
                    {processors(own.cpus, &settings.limits).view(draft, refusals, change)}
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
    name: &'static str,
    label: &'static str,
    value: impl Fn() -> String + Send + Sync + 'static,
    refusal: Memo<Option<String>>,
    write: impl Fn(String) + 'static,
) -> impl IntoView {
    let (id, told) = (format!("{name}-field"), format!("{name}-field-refusal"));
    let described = told.clone();
    view! {
        <input class="option-field" id=id aria-label=label autocomplete="off" spellcheck="false" prop:value=value
            aria-invalid=move || refusal.get().is_some().to_string() aria-describedby=move || refusal.get().map(|_| described.clone())
            on:input=move |event| write(event_target_value(&event))/>
        {move || refusal.get().map(|why| view! { <p class="option-refusal" id=told.clone() role="alert">{why}</p> })}
    }
}

/// An amount of something: one of a few that are offered, or another one that is typed.
struct Amount<T: 'static> {
    name: &'static str,
    title: &'static str,
    /// What is typed into the field for another one.
    field: &'static str,
    /// What the image gets by itself. Choosing it puts the option back, so that it follows the image.
    own: T,
    offered: Vec<T>,
    label: fn(T) -> String,
    said: fn(&Draft) -> &String,
    say: fn(&mut Draft, String),
    refusal: fn(&Refusals) -> &Option<String>,
}

impl<T: Copy + PartialEq + Display + Send + Sync> Amount<T> {
    fn view(self, draft: RwSignal<Draft>, refusals: RwSignal<Refusals>, change: Change) -> impl IntoView {
        let Self { name, title, field: typed, own, offered, label, said, say, refusal } = self;
        let text = move |amount: T| if amount == own { String::new() } else { amount.to_string() };
        let is_offered = |draft: &Draft| offered.iter().any(|amount| text(*amount) == *said(draft));
        let other = RwSignal::new(!draft.with_untracked(is_offered));
        let row = move |amount: T| {
            choice(
                name,
                label(amount),
                move || !other.get() && draft.with(|draft| *said(draft) == text(amount)),
                move || {
                    other.set(false);
                    change.run(Box::new(move |draft| say(draft, text(amount))));
                },
            )
        };
        put_back(draft, other, said);
        let refusal = Memo::new(move |_| refusals.with(|refusals| refusal(refusals).clone()));
        let title_id = format!("option-{name}");
        let value = move || draft.with(|draft| said(draft).clone());
        let write = move |text| change.run(Box::new(move |draft| say(draft, text)));
        view! {
            <span class="option-name" id=title_id.clone()>{title}</span>
            <div class="option-stack">
                <div class="choice-group" role="radiogroup" aria-labelledby=title_id>
                    {offered.iter().copied().map(row).collect_view()}
                    {choice(name, "Other".to_owned(), move || other.get(), move || other.set(true))}
                </div>
                {move || other.get().then(|| field(name, typed, value, refusal, write))}
            </div>
        }
    }
}

fn memory(own: Size, limits: &HostLimits) -> Amount<Size> {
    Amount {
        name: "memory",
        title: "Memory",
        field: "Memory, as in 1536M",
        own,
        offered: memories(own, limits),
        label: words::memory,
        said: |draft| &draft.memory,
        say: |draft, text| draft.memory = text,
        refusal: |refusals| &refusals.memory,
    }
}

fn processors(own: u32, limits: &HostLimits) -> Amount<u32> {
    Amount {
        name: "cpus",
        title: "CPUs",
        field: "Number of CPUs",
        own,
        offered: counts(own, limits),
        label: |count| count.to_string(),
        said: |draft| &draft.cpus,
        say: |draft, text| draft.cpus = text,
        refusal: |refusals| &refusals.cpus,
    }
}

/// A field for another value is left when everything is put back.
fn put_back(draft: RwSignal<Draft>, other: RwSignal<bool>, said: fn(&Draft) -> &String) {
    Effect::new(move |before: Option<bool>| {
        let differs = draft.with(Draft::differs);
        if before == Some(true) && !differs && draft.with_untracked(|draft| said(draft).is_empty()) {
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
            {move || (line.get() != Line::Own).then(|| field("line", "Command line", move || draft.with(|draft| draft.text.clone()), refusal, move |text| change.run(Box::new(move |draft| draft.text = text))))}
        </div>
    }
}
