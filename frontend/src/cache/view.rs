//! The view of the storage: what is kept on the backend's computer, and what can be removed.

use std::sync::Arc;

use leptos::prelude::*;
use pixelrts_shared::Digest;
use pixelrts_shared::cache::{CacheContents, CachedImage, IncompleteImage};

use super::store::Cache;
use crate::catalog::store::Catalog;
use crate::ui::problem::ProblemView;
use crate::ui::question::Question;
use crate::words;

#[component]
pub(crate) fn StorageView() -> impl IntoView {
    let cache = Cache::expect();
    cache.read();
    view! {
        <main class="page" aria-busy=move || cache.is_busy().to_string()>
            {move || cache.problem().map(|problem| view! { <ProblemView problem=problem/> })}
            {move || match cache.contents() {
                Some(contents) => list(cache, &contents).into_any(),
                None => view! { <p class="nothing">"The backend has not said yet what it keeps."</p> }.into_any(),
            }}
        </main>
    }
}

fn list(cache: Cache, contents: &Arc<CacheContents>) -> impl IntoView + use<> {
    let (count, size) = super::removable(contents);
    let share = words::percent(contents.size, contents.limit);
    let question = format!(
        "Remove {}, {}? What is pinned or in use stays.",
        words::counted(count, "item", "items"),
        words::bytes(size)
    );
    let images = contents.items.iter().map(|image| image_row(cache, image)).collect_view();
    let parts = contents.incomplete.iter().map(|image| part_row(cache, image)).collect_view();
    let pictures = (contents.pictures > 0).then(|| {
        view! { <p class="hint">{format!("Small pictures of images take {}. They go first when room is needed.", words::bytes(contents.pictures))}</p> }
    });
    let empty = contents.items.is_empty() && contents.incomplete.is_empty();
    view! {
        <div class="storage-head">
            <div class="meter" role="meter" aria-label="Cache" aria-valuenow=share.to_string() aria-valuemin="0" aria-valuemax="100" aria-valuetext=super::fill(contents)>
                <i style=("--value", share.to_string())></i>
            </div>
            <p class="storage-fill tabular"><b class="strong">{super::fill(contents)}</b>" in the cache"</p>
            {(count > 0).then(|| view! { <Question ask="Clear the cache" question=question yes="Clear" confirm=Callback::new(move |()| cache.clear())/> })}
        </div>
        {empty.then(|| view! { <p class="nothing">"Nothing is kept yet. What is fetched from a server is kept here, so that it boots without a network."</p> })}
        {(!empty).then(|| view! {
            <table class="table storage-table">
                <thead><tr><th>"Image"</th><th class="number">"Size"</th><th class="may-fold">"Last used"</th><th>"Pinned"</th><th></th></tr></thead>
                <tbody>{images}{parts}</tbody>
            </table>
        })}
        {pictures}
    }
}

fn image_row(cache: Cache, image: &CachedImage) -> impl IntoView + use<> {
    let (key, pinned, name) = (image.sha256, image.pinned, image.name.to_string());
    let origin = match (image.available, &image.source) {
        (true, _) => None,
        (false, Some(source)) => Some(format!("No server that answers has it. It came from {source}.")),
        (false, None) => Some("No server that answers has it.".to_owned()),
    };
    let used = if image.in_use { "In use".to_owned() } else { format!("{} ago", words::span(image.idle_seconds)) };
    let confirm = Callback::new(move |()| cache.remove(&key));
    view! {
        <tr data-key=key.to_string()>
            <td><span class="name-cell"><b class="ellipsis" title=name.clone()>{name.clone()}</b></span>{origin.map(|origin| view! { <p class="hint">{origin}</p> })}</td>
            <td class="number">{words::bytes(image.size)}</td>
            <td class="may-fold quiet">{used}</td>
            <td><button class="switch" role="switch" aria-checked=pinned.to_string() aria-label=format!("Pin {name}") disabled=move || cache.is_busy() on:click=move |_| cache.pin(&key, !pinned)></button></td>
            <td class="row-actions">{match super::obstacle(image) {
                Some(why) => view! { <span class="hint">{why}</span> }.into_any(),
                None => view! { <Question ask="Remove" label=format!("Remove {name}") question=super::removal_question(image) yes="Remove" confirm=confirm/> }.into_any(),
            }}</td>
        </tr>
    }
}

fn part_row(cache: Cache, image: &IncompleteImage) -> impl IntoView + use<> {
    let (key, active, name) = (image.key, image.active, name(&image.key));
    let size = words::bytes(image.size);
    let (question, label) = (format!("Discard the {size} that have arrived?"), format!("Discard {name}"));
    let confirm = Callback::new(move |()| cache.remove(&key));
    view! {
        <tr data-key=key.to_string()>
            <td><span class="name-cell"><b class="ellipsis">{name}</b></span><p class="hint">"Not complete. The next download goes on from here."</p></td>
            <td class="number">{size}</td>
            <td class="may-fold quiet">{if active { "Arriving" } else { "" }}</td>
            <td></td>
            <td class="row-actions">{(!active).then(|| view! { <Question ask="Discard" label=label question=question yes="Discard" confirm=confirm/> })}</td>
        </tr>
    }
}

/// The name of an image of which only a part is here, where a catalog has it.
fn name(key: &Digest) -> String {
    let catalog = Catalog::expect();
    untrack(|| catalog.entry(key))
        .map_or_else(|| words::shortened(&key.to_string()), |entry| entry.entry.name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::tests::{contents, image};
    use crate::testing::{Backend, Page};
    use pixelrts_shared::paths;
    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    async fn images_that_no_server_has_any_more_are_listed_and_can_be_removed() {
        let backend = Backend::start();
        let whole = contents(&json!([image("aa", false, false, false), image("bb", true, false, true)]), &json!([]));
        let key: Digest = "aa".repeat(32).parse().unwrap();
        backend.reply(&format!("GET {}", paths::CACHE), 200, &serde_json::to_value(&whole).unwrap());
        backend.reply(&format!("DELETE {}", paths::cached(&key)), 200, &json!({"freed": 100, "removed": []}));
        let page = Page::mount(|shell| shell.cache.set(whole), || view! { <StorageView/> });
        page.until("both images", |page| {
            let text = page.text();
            text.contains("Image aaNo server that answers has it.")
                && text.contains("It is pinned.")
                && text.contains("300 B of 1.00 KB")
        })
        .await;
        page.press("Remove Image aa");
        page.until("the question", |page| page.text().contains("it would be lost")).await;
        page.press("Remove");
        let call = format!("DELETE {}", paths::cached(&key));
        page.until("the request", |_| backend.calls().iter().any(|sent| sent.starts_with(&call))).await;
    }
}
