use super::*;
use crate::image::condition::tests::{entry, machine};
use crate::keyboard::listener;
use crate::testing::{Page, bubbling, catalog};
use crate::wall::filter::Tab;
use crate::wall::grid::Move;
use crate::wall::window::LIMIT;
use pixelrts_shared::Digest;
use pixelrts_shared::catalog::MergedEntry;
use wasm_bindgen_test::wasm_bindgen_test;

fn wall() -> Page {
    Page::mount(|_| {}, || view! { <WallPage/> })
}

/// `Image 0` to `Image 9999`, with texts and servers as catalogs have them.
fn many(count: usize) -> Vec<MergedEntry> {
    let systems = ["Debian", "Fedora", "Alpine", "openSUSE", "NixOS"];
    let image = |at: usize| {
        let system = systems[at % systems.len()];
        serde_json::from_value(serde_json::json!({
            "id": format!("image-{at}"), "name": format!("Image {at}"), "size": 1_840_000_000 + at, "distro": system,
            "sha256": format!("{at:064x}"), "segments": [], "architecture": "x86_64", "kernel_version": "6.1.0-26-amd64",
            "description": format!("{system} for room {}: a desktop with an office, a browser and tools for lessons.", at % 90),
            "tags": ["desktop", "school"], "cached": at % 3 == 0, "status": "idle",
            "sources": [{"server": "office", "name": "Office", "id": format!("image-{at}"), "health": {"state": "up"}}]
        }))
        .unwrap()
    };
    (0..count).map(image).collect()
}

/// A wall in a window of 1,440 by 900, with the stylesheet of the shell.
async fn hanging(entries: Vec<MergedEntry>) -> Page {
    let page = Page::mount(
        |shell| shell.catalog.set(catalog(entries)),
        || {
            listener::listen();
            let style = concat!(include_str!("../../../style/tokens.css"), include_str!("../../../style/shell.css"));
            let frame = "position:fixed;inset:0;width:1368px;height:844px;display:grid;grid-template:minmax(0,1fr)/minmax(0,1fr);grid-template-areas:'main'";
            view! { <style>{style}</style><div style=frame><WallPage/></div> }
        },
    );
    page.until("the cards", |page| page.find("article").is_some()).await;
    page.until("it is measured", |page| untrack(|| page.shell.wall.space()).height == 796).await;
    page
}

fn cards(page: &Page) -> Vec<String> {
    let found = page.host().query_selector_all("article h2").unwrap();
    (0..found.length()).filter_map(|at| found.item(at)?.text_content()).collect()
}

fn scroll_to(page: &Page, offset: i32) {
    let scroll = page.find(".scroll").unwrap();
    scroll.set_scroll_top(offset);
    scroll.dispatch_event(&bubbling("scroll")).unwrap();
}

fn key(at: usize) -> Digest {
    format!("{at:064x}").parse().unwrap()
}

fn focused(page: &Page) -> Option<String> {
    let name = document().active_element()?.query_selector("h2").ok().flatten()?.text_content();
    name.filter(|_| page.find(".wall").is_some())
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
    page.shell.wall.show_tab(Tab::Running);
    page.until("an empty tab", |page| page.text().contains("There is nothing in “Running”.")).await;
    page.shell.wall.search_for("alpine".to_owned());
    page.until("an empty search", |page| page.text().contains("No image has all words of “alpine” in “Running”."))
        .await;
}

#[wasm_bindgen_test]
async fn of_ten_thousand_images_only_those_in_sight_are_in_the_page() {
    let page = hanging(many(10_000)).await;
    // Six rows may be in sight, and two more are made below them.
    page.until("8 rows", |page| cards(page).len() == 24).await;
    assert_eq!(cards(&page)[..4], ["Image 0", "Image 1", "Image 2", "Image 3"]);
    scroll_to(&page, 172 * 1000);
    page.until("the thousandth row", |page| cards(page).len() == 31 && cards(page)[7] == "Image 3000").await;
    // The first image is where the Tab key leads to, so it stays.
    assert!(
        cards(&page).len() < LIMIT && cards(&page)[0] == "Image 0" && !cards(&page).contains(&"Image 30".to_owned())
    );
    let card = page.find(&format!("[data-key='{}']", key(3000))).unwrap();
    assert_eq!(
        [card.get_attribute("aria-posinset"), card.get_attribute("aria-setsize")],
        ["3001", "10000"].map(|text| Some(text.to_owned()))
    );
    let scroll = page.find(".scroll").unwrap();
    assert_eq!(
        card.get_bounding_client_rect().top() - scroll.get_bounding_client_rect().top(),
        4.0,
        "it is at its place"
    );
}

#[wasm_bindgen_test]
async fn a_card_that_has_the_focus_survives_scrolling_and_keys_go_on_from_it() {
    let page = hanging(many(10_000)).await;
    let go = |page: &Page, movement| focus::give(page.shell.wall.go(movement).unwrap());
    go(&page, Move::Last);
    page.until("the last image", |page| focused(page).as_deref() == Some("Image 9999")).await;
    let scroll = page.find(".scroll").unwrap();
    page.until("the wall is scrolled", |_| scroll.scroll_top() > 570_000).await;
    go(&page, Move::PageUp);
    page.until("a page before", |page| focused(page).as_deref() == Some("Image 9987")).await;
    scroll_to(&page, 0);
    page.until("the first row", |page| cards(page).contains(&"Image 1".to_owned())).await;
    assert_eq!(focused(&page).as_deref(), Some("Image 9987"));
    go(&page, Move::Down);
    page.until("the next row", |page| focused(page).as_deref() == Some("Image 9990") && scroll.scroll_top() > 570_000)
        .await;
    go(&page, Move::First);
    page.until("the first image", |page| focused(page).as_deref() == Some("Image 0") && scroll.scroll_top() == 0).await;
}

#[wasm_bindgen_test]
async fn the_focus_goes_to_the_next_image_when_its_own_goes() {
    let page = hanging(many(30)).await;
    page.shell.wall.select(key(4));
    let card = format!("[data-key='{}']", key(4));
    page.until("its card hangs", |page| page.find(&card).is_some()).await;
    focus::give(key(4));
    // A headless page has no focus of its window, so its elements get no event of it.
    page.find(&card).unwrap().dispatch_event(&bubbling("focusin")).unwrap();
    let mut entries = many(30);
    entries.remove(4);
    page.shell.catalog.set(catalog(entries));
    page.until("the next image", |page| focused(page).as_deref() == Some("Image 5")).await;
    assert_eq!(untrack(|| page.shell.wall.selected()), Some(key(5)));
}

#[wasm_bindgen_test]
async fn another_search_begins_at_the_top() {
    let page = hanging(many(10_000)).await;
    scroll_to(&page, 172 * 100);
    page.until("it is scrolled", |page| cards(page).contains(&"Image 300".to_owned())).await;
    page.shell.wall.search_for("fedora 77".to_owned());
    page.until("what was found", |page| cards(page).first().map(String::as_str) == Some("Image 771")).await;
    assert_eq!(page.find(".scroll").unwrap().scroll_top(), 0);
}

#[wasm_bindgen_test]
async fn tabs_are_one_stop_and_arrow_keys_go_round() {
    let page = hanging(many(30)).await;
    let stops = |page: &Page| page.host().query_selector_all("[role=tab][tabindex='0']").unwrap().length();
    let selected = |page: &Page| page.find("[aria-selected=true]").and_then(|tab| tab.get_attribute("id"));
    assert_eq!((stops(&page), selected(&page).as_deref()), (1, Some("show-all")));
    assert!(page.find("#show-arriving").is_some_and(|tab| tab.hidden()), "nothing arrives");
    let options = web_sys::KeyboardEventInit::new();
    options.set_key("ArrowRight");
    options.set_bubbles(true);
    let press = web_sys::KeyboardEvent::new_with_keyboard_event_init_dict("keydown", &options).unwrap();
    page.find("#show-all").unwrap().dispatch_event(&press).unwrap();
    page.until("the next tab", |page| selected(page).as_deref() == Some("show-here")).await;
    assert_eq!((stops(&page), cards(&page).len()), (1, 10));
    page.shell.machines.accept(vec![machine("failed", None)]);
    page.until("a tab more", |page| page.find("#show-needs-you").is_some_and(|tab| !tab.hidden())).await;
}

/// The time is printed and not judged here, because other programs run meanwhile; it must not be of another kind.
#[wasm_bindgen_test]
async fn a_key_in_the_search_costs_less_than_a_frame() {
    let page = hanging(many(10_000)).await;
    let performance = window().performance().unwrap();
    let field = "deskt";
    let mut times = Vec::new();
    for end in 0..=field.len() {
        let before = performance.now();
        page.shell.wall.search_for(field[..end].to_owned());
        leptos::task::tick().await;
        leptos::task::tick().await;
        // Makes the browser lay the page out.
        let _ = page.find(".wall").unwrap().get_bounding_client_rect();
        times.push(performance.now() - before);
    }
    let said = times.iter().map(|ms| format!("{ms:.1}")).collect::<Vec<_>>().join(" ");
    web_sys::console::log_1(&format!("keystrokes in 10,000 images: {said} ms").into());
    assert!(times.iter().all(|ms| *ms < 1000.0), "{said}");
}
