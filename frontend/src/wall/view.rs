//! The wall of images: a feed of which only the cards in sight are made.

use leptos::html::Div;
use leptos::prelude::*;
use leptos::task::{spawn_local, tick};

use super::empty::FirstStart;
use super::filter_bar::FilterBar;
use super::shown::Shown;
use super::store::Wall;
use super::{cards, focus, measure};
use crate::catalog::store::Catalog;
use crate::link::store::Link;

#[component]
pub(crate) fn WallPage() -> impl IntoView {
    let (wall, catalog, link) = (Wall::expect(), Catalog::expect(), Link::expect());
    let empty = Memo::new(move |_| wall.count() == 0);
    let known = Memo::new(move |_| catalog.is_known());
    view! {
        <Show when=move || !empty.get() fallback=move || view! { <Show when=move || known.get() || !link.is_up()><FirstStart/></Show> }>
            <main class="main">
                <FilterBar/>
                <Hanging/>
            </main>
        </Show>
    }
}

/// Few images hang larger. It depends on all images, not on those that are found: cards must not change their size under
/// the hand that types.
fn hang(count: usize) -> &'static str {
    match count {
        0..=6 => "few",
        7..=15 => "some",
        _ => "many",
    }
}

#[component]
fn Hanging() -> impl IntoView {
    let wall = Wall::expect();
    let (scroll, inside) = (NodeRef::<Div>::new(), NodeRef::<Div>::new());
    cards::hang(wall, inside);
    let hang = Memo::new(move |_| hang(wall.count()));
    let count = Memo::new(move |_| wall.shown_count());
    let rows = move |look: fn(super::window::Space, usize) -> String| move || look(wall.space(), count.get());
    // What has the focus may go, because its machine ended or another server was asked. Then its successor gets it.
    let focused = StoredValue::new(None);
    Effect::new(move |before: Option<Shown>| {
        let now = wall.shown().get();
        if let Some((before, key)) = before.zip(focused.get_value())
            && now.place(&key).is_none()
        {
            focused.set_value(None);
            if let Some(next) = now.successor(&before, &key) {
                wall.select(next);
                spawn_local(async move {
                    tick().await;
                    if focus::is_lost() {
                        focus::give(next);
                    }
                });
            }
        }
        now
    });
    let left = move |_| {
        spawn_local(async move {
            tick().await;
            let Some(key) = focused.try_get_value().flatten() else { return };
            // A card that was taken away still counts as the one that has the focus.
            let was_taken = focus::is_lost() && untrack(|| wall.place(&key)).is_none();
            if !was_taken && !focus::is_on_wall() {
                focused.set_value(None);
            }
        });
    };
    Effect::new(move |_| {
        if let Some(scroll) = scroll.get() {
            measure::follow(wall, scroll.into());
        }
    });
    Effect::new(move |_| {
        hang.get();
        spawn_local(async move {
            tick().await;
            if let Some(scroll) = scroll.try_get_untracked().flatten() {
                measure::measure(wall, &scroll);
            }
        });
    });
    // A move with a key, another tab and another search scroll the wall; and it is found as it was left.
    Effect::new(move |_| {
        let (offset, _) = (wall.offset(), count.get());
        if let Some(scroll) = scroll.get()
            && measure::pixels(scroll.scroll_top()) != offset
        {
            scroll.set_scroll_top(i32::try_from(offset).unwrap_or(i32::MAX));
        }
    });
    let scrolled = move |_| {
        if let Some(scroll) = scroll.get_untracked() {
            wall.scrolled(measure::pixels(scroll.scroll_top()));
        }
    };
    view! {
        <div class="scroll" node_ref=scroll on:scroll=scrolled on:focusin=move |_| focused.set_value(untrack(|| wall.selected())) on:focusout=left>
            <div class="wall" node_ref=inside role="feed" aria-label="Images" data-hang=move || hang.get()
                style=("--columns", rows(|space, _| space.columns().to_string()))
                style=("height", rows(|space, count| format!("{}px", space.height_of(count))))></div>
            {move || (count.get() == 0).then(|| view! { <p class="nothing" role="status">{nothing(wall)}</p> })}
        </div>
    }
}

fn nothing(wall: Wall) -> impl Fn() -> &'static str {
    move || if wall.search().trim().is_empty() { "There is nothing here." } else { "No image contains these words." }
}

#[cfg(test)]
mod tests;
