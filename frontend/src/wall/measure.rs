//! Measures the wall: how much room it has, and what the stylesheet says of a card.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use web_sys::{HtmlElement, ResizeObserver};

use super::store::Wall;
use super::window::Space;

/// `scroll` is what scrolls; the wall is its first child.
pub(crate) fn measure(wall: Wall, scroll: &HtmlElement) {
    let Some(inner) = scroll.first_element_child() else { return };
    let style = window().get_computed_style(&inner).ok().flatten();
    let token = |name: &str| {
        let value = style.as_ref()?.get_property_value(name).ok()?;
        value.trim().strip_suffix("px")?.parse::<u32>().ok()
    };
    let known = untrack(|| wall.space());
    wall.measured(Space {
        width: pixels(inner.client_width()),
        height: pixels(scroll.client_height()),
        card_width: token("--card-width").unwrap_or(known.card_width),
        card_height: token("--card-height").unwrap_or(known.card_height),
        gap: token("--card-gap").unwrap_or(known.gap),
    });
}

/// Measures now and whenever the room changes, until the owner of this call is cleaned up.
pub(crate) fn follow(wall: Wall, scroll: HtmlElement) {
    measure(wall, &scroll);
    let observed = scroll.clone();
    let changed = Closure::<dyn FnMut()>::new(move || measure(wall, &scroll));
    let Ok(observer) = ResizeObserver::new(changed.as_ref().unchecked_ref()) else { return };
    observer.observe(&observed);
    let held = StoredValue::new_local((observer, changed));
    on_cleanup(move || held.with_value(|(observer, _)| observer.disconnect()));
}

/// Lengths of the browser are never negative.
pub(crate) fn pixels(length: i32) -> u32 {
    u32::try_from(length).unwrap_or(0)
}
