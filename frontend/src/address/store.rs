//! Keeps the address, the title and the icon of the browser's tab as the page is, and the page as its address says.

use leptos::prelude::*;
use wasm_bindgen::JsValue;

use super::Address;
use super::title::{GoingOn, icon};
use crate::downloads::store::Downloads;
use crate::image::store::Images;
use crate::layout::Open;
use crate::layout::store::Layout;
use crate::machines::store::Machines;
use crate::wall::store::Wall;

/// Shows what the address says, then follows both until the owner of this call is cleaned up.
pub(crate) fn follow() {
    let (layout, wall) = (Layout::expect(), Wall::expect());
    go_to(layout, wall, &Address::parse(&of_browser()));
    let now = Memo::new(move |_| current(layout, wall));
    Effect::new(move |before: Option<Address>| {
        let now = now.get();
        let (text, there) = (now.format(), of_browser());
        if text != there {
            // The address with which the page was opened is only written properly.
            let replaces = before.is_none_or(|before| now.replaces(&before));
            write(&text, replaces);
        }
        now
    });
    let handle =
        window_event_listener_untyped("popstate", move |_| go_to(layout, wall, &Address::parse(&of_browser())));
    on_cleanup(move || handle.remove());
    name_the_tab(layout, now);
}

fn current(layout: Layout, wall: Wall) -> Address {
    let details = wall.selected().filter(|_| layout.shows_details());
    Address { page: layout.page(), tab: wall.tab(), search: wall.search(), details }
}

fn go_to(layout: Layout, wall: Wall, address: &Address) {
    let now = untrack(|| current(layout, wall));
    if now.tab != address.tab {
        wall.show_tab(address.tab);
    }
    if now.search != address.search {
        wall.search_for(address.search.clone());
    }
    if let Some(key) = address.details {
        wall.select(key);
    }
    layout.update(|open| *open = Open { page: address.page, details: address.details.is_some(), ..*open });
}

fn name_the_tab(layout: Layout, now: Memo<Address>) {
    let (images, machines, downloads) = (Images::expect(), Machines::expect(), Downloads::expect());
    let going_on = Memo::new(move |_| {
        let counts = machines.counts();
        GoingOn {
            is_backend_gone: images.link.problem().is_some(),
            failed: images.failures.keys().len(),
            arriving: downloads.under_way().count,
            on: counts.running + counts.booting,
        }
    });
    let place = Memo::new(move |_| match now.get().details {
        Some(key) => images.catalog.name(&key),
        None => layout.page().word().to_owned(),
    });
    Effect::new(move |_| document().set_title(&going_on.get().title(&place.get())));
    let sign = Memo::new(move |_| going_on.get().sign());
    let plain = document().query_selector("link[rel=icon]").ok().flatten().and_then(|link| link.get_attribute("href"));
    Effect::new(move |_| {
        let link = document().query_selector("link[rel=icon]").ok().flatten();
        if let Some((link, shape)) = link.zip(icon(sign.get()).or_else(|| plain.clone())) {
            let _ = link.set_attribute("href", &shape);
        }
    });
}

fn of_browser() -> String {
    window().location().hash().unwrap_or_default()
}

fn write(text: &str, replaces: bool) {
    let Ok(history) = window().history() else { return };
    // A browser refuses when the address changes too often. The next change writes it.
    let _ = if replaces {
        history.replace_state_with_url(&JsValue::NULL, "", Some(text))
    } else {
        history.push_state_with_url(&JsValue::NULL, "", Some(text))
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::condition::tests::entry;
    use crate::layout::Page;
    use crate::testing::{self, catalog};
    use crate::wall::filter::Tab;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    async fn an_address_opens_what_it_says_and_back_and_forward_lead_through_it() {
        let entry = entry(true, &[]);
        let key = entry.entry.sha256;
        write("#/servers", true);
        let page = testing::Page::mount(
            |shell| shell.catalog.set(catalog([entry])),
            || {
                follow();
                view! { <p></p> }
            },
        );
        let (layout, wall) = (page.shell.layout, page.shell.wall);
        assert_eq!(untrack(|| layout.page()), Page::Servers);
        page.until("the title", |_| document().title() == "Servers, PixelRTS").await;
        layout.update(|open| open.page = Page::Wall);
        page.until("images", |_| of_browser() == "#/images").await;
        wall.show_tab(Tab::Here);
        page.until("a tab", |_| of_browser() == "#/images?show=here").await;
        wall.select(key);
        layout.update(|open| open.details = true);
        page.until("details", |_| of_browser().ends_with(&format!("image={key}"))).await;
        let history = window().history().unwrap();
        history.back().unwrap();
        page.until("no details", |_| untrack(|| !layout.shows_details() && wall.tab() == Tab::Here)).await;
        history.go_with_delta(-2).unwrap();
        page.until("servers again", |_| untrack(|| layout.page()) == Page::Servers).await;
        history.go_with_delta(3).unwrap();
        page.until("details again", |_| untrack(|| layout.shows_details() && wall.selected() == Some(key))).await;
        drop(page);
        write("#/images", true);
    }
}
