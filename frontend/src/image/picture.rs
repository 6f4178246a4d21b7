//! What hangs on the wall for an image: its emblem at rest, its picture while it arrives; and beside it the selvage, which
//! shows how much of it is on this computer.

use std::sync::Arc;

use leptos::prelude::*;
use pixelrts_shared::catalog::MergedEntry;
use pixelrts_shared::emblem::{Emblem, Part};
use pixelrts_shared::{Digest, paths};

use super::state::State;
use super::store::Images;
use super::{anatomy, bands, progress};
use crate::catalog::store::Catalog;

/// The width of the picture in the details and the most of its height, in pixels, as in the stylesheet.
pub(crate) const PLATE: (u32, u32) = (240, 240);

/// The address of its thumbnail: from this computer, else through the first server that has it.
fn address(entry: &MergedEntry) -> String {
    let server = if entry.cached { None } else { entry.sources.first().map(|source| &source.server) };
    paths::thumbnail(&entry.entry.sha256, server)
}

/// A thumbnail, and what to call when it cannot be loaded: it is asked for again once the backend is back.
fn thumbnail(images: Images, entry: Signal<Option<Arc<MergedEntry>>>) -> (Memo<Option<String>>, impl Fn() + Copy) {
    let image = Memo::new(move |_| entry.with(|entry| entry.as_ref().map(|entry| address(entry))));
    let missing = RwSignal::new(None::<(String, u32)>);
    let tried = move || image.get().map(|source| (source, images.link.returns()));
    let shown =
        Memo::new(move |_| tried().filter(|tried| missing.get().as_ref() != Some(tried)).map(|(source, _)| source));
    (shown, move || missing.set(untrack(tried)))
}

/// The emblem of an image as SVG.
pub(crate) fn emblem(entry: &MergedEntry, part: Part) -> String {
    Emblem::new(entry.entry.distro.as_deref(), &entry.entry.name).svg(part)
}

/// The plate of a card. At rest it asks the network for nothing.
#[component]
pub(crate) fn Plate(key: Digest, state: Memo<State>) -> impl IntoView {
    let images = Images::expect();
    let here = Memo::new(move |_| images.share_here(&key));
    let arrives = Memo::new(move |_| matches!(state.get(), State::Arriving | State::Retrying) && here.get() < 1000);
    let away = Memo::new(move |_| state.get() == State::Away);
    move || {
        let entry = images.catalog.entry(&key)?;
        let (cloth, roles) = (emblem(&entry, Part::Plate), bands::gradient(&entry.entry));
        Some(if arrives.get() {
            view! { <ArrivingPlate entry=entry here=here cloth=cloth roles=roles/> }.into_any()
        } else {
            let extent = match here.get() {
                1000 => "all",
                _ if away.get() => "unknown",
                0 => "none",
                _ => "part",
            };
            view! {
                <div class="plate" style=("--roles", roles) style=("--here", mask(here.get()))>
                    <i class="selvage" data-here=extent></i>
                    <div class="plate-face" inner_html=cloth></div>
                </div>
            }
            .into_any()
        })
    }
}

/// Which part of the selvage and of the picture is solid; all of it without a mask.
fn mask(here: u16) -> Option<String> {
    (1..1000).contains(&here).then(|| progress::gradient(180, "#000", here))
}

/// The picture is asked for once, and then more of it is shown as more of it arrives.
#[component]
fn ArrivingPlate(entry: Arc<MergedEntry>, here: Memo<u16>, cloth: String, roles: Option<String>) -> impl IntoView {
    let (source, failed) = thumbnail(Images::expect(), Signal::stored(Some(entry)));
    let image = move || {
        source.get().map(|source| {
            view! { <img src=source alt="" decoding="async" draggable="false" on:error=move |_| failed()/> }
        })
    };
    view! {
        <div class="plate" style=("--roles", roles) style=("--here", move || mask(here.get()))>
            <i class="selvage" data-here=move || if here.get() == 0 { "none" } else { "part" }></i>
            <div class="plate-face picture">
                <div class="picture-ghost" inner_html=cloth></div>
                <div class="picture-strips" class:none=move || here.get() == 0>{image}</div>
            </div>
        </div>
    }
}

/// The picture in the details, in its own proportions: what is here is in full color, the rest is a shadow.
#[component]
pub(crate) fn Picture(entry: Arc<MergedEntry>, here: Memo<u16>) -> impl IntoView {
    let (height, roles) = (anatomy::height(&entry.entry, PLATE), bands::gradient(&entry.entry));
    let extent = move || match here.get() {
        1000 => "all",
        0 => "none",
        _ => "part",
    };
    let (source, failed) = thumbnail(Images::expect(), Signal::stored(Some(entry)));
    view! {
        <div class="plate" style=("--roles", roles) style=("--plate-height", format!("{height}px")) style=("--here", move || mask(here.get()))>
            <i class="selvage" data-here=extent></i>
            <div class="plate-face picture">
                {move || source.get().map(|source| view! {
                    <img class="picture-shadow" src=source.clone() alt="" decoding="async" on:error=move |_| failed()/>
                    <div class="picture-strips" class:none=move || here.get() == 0><img src=source alt="" draggable="false"/></div>
                })}
            </div>
        </div>
    }
}

/// The selvage of an image, lying: which of its segments are here.
#[component]
pub(crate) fn Extent(key: Digest, state: Memo<State>) -> impl IntoView {
    let images = Images::expect();
    let here = Memo::new(move |_| images.share_here(&key));
    let roles = Memo::new(move |_| {
        let upright = images.catalog.entry(&key).and_then(|entry| bands::gradient(&entry.entry));
        upright.map(|roles| roles.replacen("180deg", "90deg", 1))
    });
    let extent = move || match here.get() {
        1000 => "all",
        _ if state.get() == State::Away => "unknown",
        0 => "none",
        _ => "part",
    };
    let mask = move || (1..1000).contains(&here.get()).then(|| progress::gradient(90, "#000", here.get()));
    view! { <i class="selvage lying" data-here=extent style=("--roles", move || roles.get()) style=("--here", mask)></i> }
}

/// The emblem as small as a stamp, beside the name.
#[component]
pub(crate) fn Stamp(key: Digest) -> impl IntoView {
    let catalog = Catalog::expect();
    let cloth = Memo::new(move |_| catalog.entry(&key).map(|entry| emblem(&entry, Part::Stamp)));
    view! { <span class="stamp" inner_html=move || cloth.get().unwrap_or_default()></span> }
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
            style=("--share-row", move || progress::gradient(90, "var(--share-colour,var(--ink-soft))", here.get()))
            role="progressbar"
            aria-label="On this computer"
            aria-valuenow=move || (here.get() / 10).to_string()
        ></div>
    }
}
