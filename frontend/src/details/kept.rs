//! What of the image is kept on this computer, and what can be done with it: download, pin, remove, discard.

use leptos::prelude::*;
use pixelrts_shared::Digest;
use pixelrts_shared::cache::{CachedImage, IncompleteImage};

use crate::cache::store::Cache;
use crate::cache::{self, Held};
use crate::clock;
use crate::image::condition::Condition;
use crate::image::store::Images;
use crate::ui::problem::ProblemView;
use crate::ui::question::Question;
use crate::words;

#[component]
pub(super) fn Kept(key: Digest, condition: Memo<Condition>) -> impl IntoView {
    let (images, cache) = (Images::expect(), Cache::expect());
    let held = Memo::new(move |_| cache.held(&key));
    let local = Memo::new(move |_| images.catalog.entry(&key).is_some_and(|entry| entry.cached));
    let fetchable = Memo::new(move |_| !local.get() && images.link.is_up() && condition.with(may_fetch));
    let download = move || {
        fetchable.get().then(|| view! {
            <button class="button small" on:click=move |_| images.downloads.fetch(key)>"Download without booting"</button>
        })
    };
    let part = move |part: IncompleteImage| {
        let (size, active) = (words::bytes(part.size), part.active);
        view! {
            <p class="quiet">{format!("{size} of it are here.")}</p>
            <div class="row">
                {download}
                {(!active).then(|| view! {
                    <Question ask="Discard" question=format!("Discard the {size} that have arrived?") yes="Discard" confirm=Callback::new(move |()| cache.remove(&key))/>
                })}
            </div>
        }
        .into_any()
    };
    view! {
        <section class="sheet-section" aria-busy=move || cache.is_busy().to_string()>
            <h3 class="section-title">"On this computer"</h3>
            {move || match held.get() {
                Some(Held::All(image)) => whole(cache, &image).into_any(),
                Some(Held::Part(image)) => part(image),
                None => ().into_any(),
                Some(Held::Nothing) if local.get() => view! { <p class="quiet">"It is a file of a folder on this computer."</p> }.into_any(),
                Some(Held::Nothing) => view! { <p class="quiet">"Nothing of it is here."</p><div class="row">{download}</div> }.into_any(),
            }}
            {move || cache.problem().map(|problem| view! { <ProblemView problem=problem/> })}
        </section>
    }
}

/// The image can be fetched, and nobody does so yet.
fn may_fetch(condition: &Condition) -> bool {
    matches!(condition, Condition::Idle | Condition::Stopped(_) | Condition::Error(..))
}

fn whole(cache: Cache, image: &CachedImage) -> impl IntoView + use<> {
    let key = image.sha256;
    let checked = match image.verified_at.as_deref().and_then(clock::seconds_since) {
        Some(seconds) => format!("{}, verified {} ago.", words::bytes(image.size), words::span(seconds)),
        None => format!("{}, verified before its next use.", words::bytes(image.size)),
    };
    let (pinned, obstacle) = (image.pinned, cache::obstacle(image));
    view! {
        <p class="quiet">{checked}</p>
        <div class="row">
            <label class="switch-label">
                <button class="switch" role="switch" aria-checked=pinned.to_string() aria-label="Pin" disabled=move || cache.is_busy() on:click=move |_| cache.pin(&key, !pinned)></button>
                "Pin: keep it whatever the cache's limits say"
            </label>
        </div>
        <div class="row">
            {match obstacle {
                Some(why) => view! { <span class="hint">{format!("It cannot be removed: {why}")}</span> }.into_any(),
                None => view! { <Question ask="Remove from this computer" question=cache::removal_question(image) yes="Remove" confirm=Callback::new(move |()| cache.remove(&key))/> }.into_any(),
            }}
        </div>
    }
}
