//! The picture of an image with its selvage, which says how much of it is here.

use leptos::prelude::*;
use pixelrts_shared::catalog::{MergedEntry, Status};
use pixelrts_shared::{Digest, paths};

use super::condition::Condition;
use super::have;
use crate::app::Shell;

/// Width by height for the stylesheet, from 1:2 to 2:1.
fn ratio(entry: &MergedEntry) -> String {
    match (entry.entry.width, entry.entry.height) {
        (Some(width), Some(height)) if width > 0 && height > 0 => format!("clamp(.5,{width}/{height},2)"),
        _ => ".72".to_owned(),
    }
}

fn source(entry: &MergedEntry) -> String {
    let server = if entry.cached { None } else { entry.sources.first().map(|source| &source.server) };
    paths::thumbnail(&entry.entry.sha256, server)
}

/// Thousandths of the image that are here.
fn here(shell: Shell, entry: &MergedEntry) -> u16 {
    if entry.cached {
        return 1000;
    }
    let download = shell.downloads.of(&entry.entry.sha256);
    download.map_or(0, |download| have::of(&download, &entry.entry))
}

#[component]
pub(crate) fn Picture(key: Digest, condition: Memo<Condition>) -> impl IntoView {
    let shell = Shell::get();
    let entry = Memo::new(move |_| shell.catalog.entry(&key));
    let here = Memo::new(move |_| entry.with(|entry| entry.as_ref().map_or(0, |entry| here(shell, entry))));
    let status = Memo::new(move |_| condition.with(Condition::status));
    let away = move || status.get() == Status::Unavailable;
    // At rest the whole thumbnail is shown; while bytes arrive, only what is here.
    let fills = move || matches!(status.get(), Status::Downloading | Status::Retrying) && here.get() < 1000;
    let image = Memo::new(move |_| entry.with(|entry| entry.as_ref().map(|entry| source(entry))));
    let missing = RwSignal::new(None::<(String, u32)>);
    let tried = move || image.get().map(|source| (source, shell.link.returns()));
    let shown =
        Memo::new(move |_| tried().filter(|tried| missing.get().as_ref() != Some(tried)).map(|(source, _)| source));
    let failed = move |_| missing.set(untrack(tried));
    view! {
        <figure
            class="pic"
            class:here=move || here.get() == 1000
            class:part=move || (1..1000).contains(&here.get())
            class:fills=fills
            class:away=move || away() && here.get() < 1000
            style=("--ratio", move || entry.with(|entry| entry.as_ref().map(|entry| ratio(entry))))
            style=("--have", move || have::gradient(180, "#000", here.get()))
            style=("--have-c", move || have::gradient(180, "var(--hv,var(--thread))", here.get()))
        >
            <i class="sv"></i>
            {move || shown.get().map(|source| view! {
                {fills().then(|| view! { <img class="ghost" src=source.clone() alt=""/> })}
                <img src=source.clone() alt="" loading="lazy" decoding="async" draggable="false" on:error=failed/>
            })}
        </figure>
    }
}

/// The picture as small as a stamp, without its edge.
#[component]
pub(crate) fn Stamp(key: Digest) -> impl IntoView {
    let shell = Shell::get();
    let entry = untrack(|| shell.catalog.entry(&key));
    let missing = RwSignal::new(entry.is_none());
    let (ratio, source) = entry.map(|entry| (ratio(&entry), source(&entry))).unzip();
    view! {
        <figure class="pic stamp" style=("--ratio", ratio)>
            {move || (!missing.get()).then(|| view! {
                <img src=source.clone() alt="" on:error=move |_| missing.set(true)/>
            })}
        </figure>
    }
}

/// The selvage lying down: how much of the image is here.
#[component]
pub(crate) fn Bar(key: Digest) -> impl IntoView {
    let shell = Shell::get();
    let here = Memo::new(move |_| shell.catalog.entry(&key).map_or(0, |entry| here(shell, &entry)));
    view! {
        <div
            class="bar"
            class:here=move || here.get() == 1000
            class:none=move || here.get() == 0
            class:part=move || (1..1000).contains(&here.get())
            style=("--have-h", move || have::gradient(90, "var(--hv,var(--thread))", here.get()))
            role="progressbar"
            aria-label="On this computer"
            aria-valuenow=move || (here.get() / 10).to_string()
        ></div>
    }
}
