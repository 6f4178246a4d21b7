//! The wall of images.

use leptos::prelude::*;

use super::card::Card;
use super::empty::FirstStart;
use super::store::Wall;
use crate::catalog::store::Catalog;
use crate::link::store::Link;
use crate::ui::list::list;

#[component]
pub(crate) fn WallPage() -> impl IntoView {
    let (wall, catalog, link) = (Wall::expect(), Catalog::expect(), Link::expect());
    let empty = Memo::new(move |_| wall.counts()[0] == 0);
    let known = Memo::new(move |_| catalog.is_known());
    let nothing = Memo::new(move |_| !empty.get() && wall.shown().is_empty());
    view! {
        <Show when=move || !empty.get() fallback=move || view! { <Show when=move || known.get() || !link.is_up()><FirstStart/></Show> }>
            <main class="wall" aria-label="Images">
                {list(move || wall.shown(), |key| view! { <Card key=key/> }.into_any())}
                {move || nothing.get().then(|| view! {
                    <p class="quiet nothing">{move || if wall.search.with(|text| text.trim().is_empty()) { "There is nothing here." } else { "No image contains these words." }}</p>
                })}
            </main>
        </Show>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::condition::tests::entry;
    use crate::testing::{Page, catalog};
    use crate::wall::filter::Tab;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn wall() -> Page {
        Page::mount(|_| {}, || view! { <WallPage/> })
    }

    #[wasm_bindgen_test]
    async fn nothing_is_claimed_before_anything_is_known() {
        let page = wall();
        assert_eq!(page.text(), "");
        page.shell.catalog.set(catalog([]));
        page.until("the first start", |page| page.text().starts_with("No images yet.")).await;
        page.shell.catalog.set(catalog([entry(true, &[])]));
        page.until("the image", |page| page.find("article").is_some()).await;
    }

    #[wasm_bindgen_test]
    async fn an_empty_tab_and_an_empty_search_say_which_they_are() {
        let page = wall();
        page.shell.catalog.set(catalog([entry(true, &[])]));
        page.shell.wall.tab.set(Tab::Running);
        page.until("an empty tab", |page| page.text() == "There is nothing here.").await;
        page.shell.wall.search.set("alpine".to_owned());
        page.until("an empty search", |page| page.text() == "No image contains these words.").await;
    }
}
