//! The picture of an image, with an edge that shows how much of it is on this computer.

use leptos::prelude::*;
use pixelrts_shared::catalog::MergedEntry;
use pixelrts_shared::image_status::Status;
use pixelrts_shared::{Digest, paths};

use super::condition::Condition;
use super::progress;
use super::store::Images;
use crate::catalog::store::Catalog;

/// Width by height for the stylesheet, from 1:2 to 2:1.
fn ratio(entry: &MergedEntry) -> String {
    match (entry.entry.width, entry.entry.height) {
        (Some(width), Some(height)) if width > 0 && height > 0 => format!("clamp(.5,{width}/{height},2)"),
        _ => ".72".to_owned(),
    }
}

/// The address of its thumbnail: from this computer, else through the first server that has it.
fn address(entry: &MergedEntry) -> String {
    let server = if entry.cached { None } else { entry.sources.first().map(|source| &source.server) };
    paths::thumbnail(&entry.entry.sha256, server)
}

#[component]
pub(crate) fn Picture(key: Digest, condition: Memo<Condition>) -> impl IntoView {
    let images = Images::expect();
    let entry = Memo::new(move |_| images.catalog.entry(&key));
    let here = Memo::new(move |_| images.share_here(&key));
    let status = Memo::new(move |_| condition.with(Condition::status));
    let away = move || status.get() == Status::Unavailable;
    // At rest the whole thumbnail is shown; while bytes arrive, only what is here.
    let fills = move || matches!(status.get(), Status::Downloading | Status::Retrying) && here.get() < 1000;
    let image = Memo::new(move |_| entry.with(|entry| entry.as_ref().map(|entry| address(entry))));
    let missing = RwSignal::new(None::<(String, u32)>);
    let tried = move || image.get().map(|source| (source, images.link.returns()));
    let shown =
        Memo::new(move |_| tried().filter(|tried| missing.get().as_ref() != Some(tried)).map(|(source, _)| source));
    let failed = move |_| missing.set(untrack(tried));
    view! {
        <figure
            class="object-picture"
            class:complete=move || here.get() == 1000
            class:partial=move || (1..1000).contains(&here.get())
            class:filling=fills
            class:unavailable=move || away() && here.get() < 1000
            style=("--ratio", move || entry.with(|entry| entry.as_ref().map(|entry| ratio(entry))))
            style=("--share-mask", move || progress::gradient(180, "#000", here.get()))
            style=("--share-column", move || progress::gradient(180, "var(--share-colour,var(--thread))", here.get()))
        >
            <i class="picture-edge"></i>
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
    let entry = untrack(|| Catalog::expect().entry(&key));
    let missing = RwSignal::new(entry.is_none());
    let (ratio, source) = entry.map(|entry| (ratio(&entry), address(&entry))).unzip();
    view! {
        <figure class="object-picture stamp" style=("--ratio", ratio)>
            {move || (!missing.get()).then(|| view! {
                <img src=source.clone() alt="" on:error=move |_| missing.set(true)/>
            })}
        </figure>
    }
}

/// A bar: how much of the image is on this computer.
#[component]
pub(crate) fn Bar(key: Digest) -> impl IntoView {
    let images = Images::expect();
    let here = Memo::new(move |_| images.share_here(&key));
    view! {
        <div
            class="share-bar"
            class:complete=move || here.get() == 1000
            class:absent=move || here.get() == 0
            class:partial=move || (1..1000).contains(&here.get())
            style=("--share-row", move || progress::gradient(90, "var(--share-colour,var(--thread))", here.get()))
            role="progressbar"
            aria-label="On this computer"
            aria-valuenow=move || (here.get() / 10).to_string()
        ></div>
    }
}
