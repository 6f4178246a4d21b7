//! Listens to keys: finds out where the focus is, and performs the command of the key.

use leptos::prelude::*;
use pixelrts_shared::Digest;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, KeyboardEvent};

use super::{Command, Focus, KeyPress, command};
use crate::image::store::Images;
use crate::layout::store::Layout;
use crate::layout::{Dialog, Open, Page};
use crate::wall::focus;
use crate::wall::store::Wall;

/// Listens until the owner of this call is cleaned up.
pub(crate) fn listen() {
    let keyboard = Keyboard { images: Images::expect(), layout: Layout::expect(), wall: Wall::expect() };
    let handle = window_event_listener(leptos::ev::keydown, move |event| keyboard.press(&event));
    on_cleanup(move || handle.remove());
}

/// The stores that keys change.
#[derive(Clone, Copy)]
struct Keyboard {
    images: Images,
    layout: Layout,
    wall: Wall,
}

impl Keyboard {
    fn press(self, event: &KeyboardEvent) {
        let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        let key = event.key();
        let press = KeyPress {
            key: &key,
            modified: event.ctrl_key() || event.alt_key() || event.meta_key(),
            // A modal dialog keeps all keys, also when nothing in it has the focus.
            focus: if untrack(|| self.layout.dialog()).is_some() { Focus::Captured } else { focus_of(target.as_ref()) },
            page: untrack(|| self.layout.page()),
            selected: untrack(|| self.wall.selected()).is_some(),
        };
        if command(press).is_some_and(|command| self.perform(command, target.as_ref())) {
            event.prevent_default();
        }
    }

    /// Returns false when the browser is to handle the key.
    fn perform(self, command: Command, target: Option<&Element>) -> bool {
        match command {
            Command::Search => focus_element("search"),
            Command::EndSearch => {
                self.wall.search_for(String::new());
                if let Some(field) = target.and_then(|target| target.dyn_ref::<HtmlElement>()) {
                    let _ = field.blur();
                }
                false
            }
            Command::GoToFirst => {
                self.layout.update(|open| open.page = Page::Wall);
                focus_given(self.wall.go_to_first())
            }
            Command::ShowKeys => {
                self.layout.open_dialog(Dialog::Keyboard);
                true
            }
            Command::Leave => {
                self.layout.update(Open::leave);
                true
            }
            Command::ToggleDetails => {
                self.layout.update(|open| open.details = !open.details);
                true
            }
            Command::SwitchLook => {
                self.wall.switch_look();
                true
            }
            Command::Begin => {
                untrack(|| self.wall.selected()).into_iter().for_each(|key| self.images.begin(key));
                true
            }
            Command::Move(movement) => focus_given(self.wall.go(movement)),
        }
    }
}

/// Gives the focus to a card. Returns false when there is none.
fn focus_given(card: Option<Digest>) -> bool {
    card.into_iter().for_each(focus::give);
    card.is_some()
}

fn focus_of(target: Option<&Element>) -> Focus {
    let inside = |selector: &str| target.is_some_and(|target| target.closest(selector).ok().flatten().is_some());
    if inside("dialog, .console-terminal") {
        return Focus::Captured;
    }
    if inside("#search") {
        return Focus::Search;
    }
    if inside("input:not([type=radio])") {
        return Focus::Field;
    }
    match (inside(".image-card, .image-row"), inside("button"), inside(".window, .details, .tray")) {
        (true, true, _) => Focus::CardButton,
        (true, false, _) => Focus::Card,
        (false, true, _) => Focus::Button,
        (false, false, true) => Focus::Panel,
        (false, false, false) => Focus::Page,
    }
}

fn focus_element(id: &str) -> bool {
    let element = document().get_element_by_id(id).and_then(|element| element.dyn_into::<HtmlElement>().ok());
    element.is_some_and(|element| element.focus().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;
    use crate::image::condition::tests::entry;
    use crate::testing::{Backend, Page, catalog};
    use crate::wall::card::card_id;
    use pixelrts_shared::paths;
    use wasm_bindgen_test::wasm_bindgen_test;

    async fn page() -> Page {
        let page = Page::mount(
            |shell| shell.catalog.set(catalog([entry(true, &[])])),
            || {
                listen();
                view! { <Frame/> }
            },
        );
        page.until("the image", |page| page.find("article").is_some()).await;
        page
    }

    /// True: the page took the key.
    fn press(target: &HtmlElement, key: &str) -> bool {
        let options = web_sys::KeyboardEventInit::new();
        options.set_key(key);
        options.set_bubbles(true);
        options.set_cancelable(true);
        !target.dispatch_event(&KeyboardEvent::new_with_keyboard_event_init_dict("keydown", &options).unwrap()).unwrap()
    }

    #[wasm_bindgen_test]
    async fn keys_open_and_close_what_they_say() {
        let (page, body) = (page().await, document().body().unwrap());
        assert!(press(&body, "?"));
        assert_eq!(untrack(|| page.shell.layout.dialog()), Some(Dialog::Keyboard));
        page.shell.layout.close_dialog();
        assert!(!press(&body, " "), "no image is selected");
        assert!(press(&body, "ArrowRight"));
        let key = entry(true, &[]).entry.sha256;
        // A headless page does not have the focus of its window, so its elements get no event of it.
        assert_eq!(document().active_element().map(|element| element.id()), Some(card_id(&key)));
        page.shell.wall.select(key);
        assert!(press(&body, " ") && untrack(|| page.shell.layout.shows_details()));
        assert!(press(&body, "Escape") && !untrack(|| page.shell.layout.shows_details()));
    }

    #[wasm_bindgen_test]
    async fn the_search_field_is_reached_and_left() {
        let page = page().await;
        assert!(press(&document().body().unwrap(), "/"));
        let field = page.find("#search").unwrap();
        page.shell.wall.search_for("entry".to_owned());
        assert!(!press(&field, "?") && untrack(|| page.shell.layout.dialog()).is_none(), "a field keeps its keys");
        assert!(press(&field, "Enter"));
        assert_eq!(untrack(|| page.shell.wall.selected()), Some(entry(true, &[]).entry.sha256));
        assert!(document().active_element().is_some_and(|element| element.tag_name() == "ARTICLE"));
        page.shell.wall.search_for("nothing has this".to_owned());
        assert!(!press(&field, "ArrowDown"), "there is no image to go to");
        press(&field, "Escape");
        assert_eq!(untrack(|| page.shell.wall.search()), "");
    }

    #[wasm_bindgen_test]
    async fn enter_boots_the_image_that_has_the_focus() {
        let page = page().await;
        let key = entry(true, &[]).entry.sha256;
        let backend = Backend::start();
        page.shell.wall.select(key);
        assert!(press(&page.find("article").unwrap(), "Enter"));
        let call = format!("POST {} {{}}", paths::entry_boot(&key));
        page.until("the request", |_| backend.calls().contains(&call)).await;
    }
}
