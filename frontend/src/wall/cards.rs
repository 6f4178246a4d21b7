//! Puts cards into the page and takes them out, as the wall is scrolled and searched.
//!
//! A card that stays is never touched: an element that is moved in the page loses the focus, which is what the keyed lists
//! of the framework do with some elements. And the page never waits for cards: what is in sight comes first, and when a
//! turn has taken its time, the page paints and the rest follows.

use std::any::Any;
use std::collections::HashMap;

use gloo_timers::future::TimeoutFuture;
use leptos::html::Div;
use leptos::mount::mount_to;
use leptos::prelude::*;
use leptos::task::spawn_local;
use pixelrts_shared::Digest;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use web_sys::{Element, HtmlElement};

use super::card::Card;
use super::store::Wall;

/// So long cards are made before the page may paint, in milliseconds: a frame has 16, of which the browser needs some.
const TURN: f64 = 4.0;

#[wasm_bindgen]
extern "C" {
    /// Milliseconds since the page was opened.
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;
}

/// A card in the page. It leaves the page when this is dropped.
struct Hung {
    element: Element,
    _mounted: Box<dyn Any>,
}

/// Keeps the cards of the wall in an element, in their order, until the owner of this call is cleaned up.
pub(crate) fn hang(wall: Wall, inside: NodeRef<Div>) {
    // Each card is owned by the view, and not by one run of the effect.
    let Some(owner) = Owner::current() else { return };
    let next_turn = Trigger::new();
    Effect::new(move |hung: Option<HashMap<Digest, Hung>>| {
        next_turn.track();
        let (wanted, mut before) = (wall.cards_by_need(), hung.unwrap_or_default());
        let Some(inside) = inside.get() else { return before };
        let inside: &HtmlElement = inside.unchecked_ref();
        let mut stays: HashMap<_, _> = wanted.iter().filter_map(|key| before.remove_entry(key)).collect();
        take_away(before);
        let order = wall.cards();
        arrange(&order, &stays, inside);
        let began = now();
        for key in wanted {
            if stays.contains_key(&key) {
                continue;
            }
            if now() - began > TURN {
                spawn_local(async move {
                    TimeoutFuture::new(0).await;
                    next_turn.notify();
                });
                break;
            }
            if let Some(card) = untrack(|| owner.with(|| hang_one(key, inside))) {
                let mut after = order.iter().skip_while(|other| **other != key).skip(1);
                put(&card, after.find_map(|other| stays.get(other)), inside);
                stays.insert(key, card);
            }
        }
        stays
    });
}

fn hang_one(key: Digest, inside: &HtmlElement) -> Option<Hung> {
    let mounted = mount_to(inside.clone(), move || view! { <Card key=key/> });
    Some(Hung { element: inside.last_element_child()?, _mounted: Box::new(mounted) })
}

/// They leave the page at once. What they were made of is cleaned up once it was painted.
fn take_away(cards: HashMap<Digest, Hung>) {
    if cards.is_empty() {
        return;
    }
    cards.values().for_each(|card| card.element.remove());
    spawn_local(async move {
        TimeoutFuture::new(0).await;
        drop(cards);
    });
}

/// Puts a card before the one that follows it, unless it is there.
fn put(card: &Hung, next: Option<&Hung>, inside: &HtmlElement) {
    let next = next.map(|next| &next.element);
    if card.element.next_element_sibling().as_ref() != next {
        let _ = inside.insert_before(&card.element, next.map(|next| next.as_ref()));
    }
}

/// Cards that stay have changed their order only if names have.
fn arrange(order: &[Digest], hung: &HashMap<Digest, Hung>, inside: &HtmlElement) {
    let mut next = None;
    for card in order.iter().rev().filter_map(|key| hung.get(key)) {
        put(card, next, inside);
        next = Some(card);
    }
}
