//! Gives the keyboard focus to a card.

use leptos::prelude::*;
use leptos::task::{spawn_local, tick};
use pixelrts_shared::Digest;
use wasm_bindgen::JsCast;
use web_sys::{FocusOptions, HtmlElement};

use super::card::card_id;

/// So often the page may go on making cards before this one has to be there.
const TICKS: usize = 4;

/// The wall has been scrolled to the card already, so the browser must not scroll too. A card that is not made yet gets
/// the focus once it is.
pub(crate) fn give(key: Digest) {
    if given(&key) {
        return;
    }
    spawn_local(async move {
        for _ in 0..TICKS {
            tick().await;
            if given(&key) {
                return;
            }
        }
    });
}

fn given(key: &Digest) -> bool {
    let card = document().get_element_by_id(&card_id(key)).and_then(|card| card.dyn_into::<HtmlElement>().ok());
    let options = FocusOptions::new();
    options.set_prevent_scroll(true);
    card.is_some_and(|card| card.focus_with_options(&options).is_ok())
}

/// Whether nothing in particular has the focus: what had it is gone from the page.
pub(crate) fn is_lost() -> bool {
    document().active_element().is_none_or(|element| element.tag_name() == "BODY")
}

pub(crate) fn is_on_wall() -> bool {
    document().active_element().is_some_and(|element| element.closest(".wall").ok().flatten().is_some())
}
