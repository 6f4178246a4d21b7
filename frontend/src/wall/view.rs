//! The wall of images: a feed of which only the cards in sight are made.

use leptos::html::Div;
use leptos::prelude::*;
use leptos::task::{spawn_local, tick};

use super::card::inset;
use super::empty::FirstStart;
use super::filter::Tab;
use super::filter_bar::FilterBar;
use super::narrow::Narrow;
use super::shown::{Heading, Shown};
use super::sort::{Look, Sort};
use super::store::Wall;
use super::{cards, focus, measure};
use crate::catalog::store::Catalog;
use crate::layout::store::Layout;
use crate::link::store::Link;
use crate::words;

#[component]
pub(crate) fn WallPage() -> impl IntoView {
    let (wall, catalog, link) = (Wall::expect(), Catalog::expect(), Link::expect());
    let empty = Memo::new(move |_| wall.count() == 0);
    let look = Memo::new(move |_| wall.arrangement().look);
    let known = Memo::new(move |_| catalog.is_known());
    view! {
        <Show when=move || !empty.get() fallback=move || view! { <Show when=move || known.get() || !link.is_up()><FirstStart/></Show> }>
            <main class="main">
                <FilterBar/>
                <div class="wall-page">
                    <Show when=move || wall.arrangement().narrows><Narrow/></Show>
                    // Cards and rows have nothing in common, so all of them are made anew.
                    {move || { look.get(); view! { <Hanging/> } }}
                </div>
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
    let is_list = untrack(|| wall.arrangement()).look == Look::List;
    let (layout, pointer) = (Layout::expect(), RwSignal::new(false));
    Effect::new(move |_| wall.hold(pointer.get() || layout.shows_details()));
    on_cleanup(move || wall.hold(false));
    let hang = Memo::new(move |_| hang(wall.count()));
    let count = Memo::new(move |_| wall.lines());
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
        <div class="scroll" node_ref=scroll on:scroll=scrolled on:focusin=move |_| focused.set_value(untrack(|| wall.selected())) on:focusout=left
            on:pointerenter=move |_| pointer.set(true) on:pointerleave=move |_| pointer.set(false)>
            {is_list.then(|| view! { <ListHead/> })}
            <div class="wall" node_ref=inside role="feed" aria-label="Images" data-hang=move || hang.get() data-look=if is_list { "list" } else { "cards" }
                style=("--columns", rows(|space, _| space.columns().to_string()))
                style=("height", rows(|space, count| format!("{}px", space.height_of(count))))></div>
            {is_list.then(|| view! { <div class="wall headings" data-look="list"><Headings/></div> })}
            {move || (count.get() == 0).then(|| view! { <Nothing/> })}
        </div>
    }
}

/// The names of the columns. Those by which the list can be sorted are buttons.
#[component]
fn ListHead() -> impl IntoView {
    let wall = Wall::expect();
    let sorts = move |by: Sort, class: &'static str| {
        let sorted = move || wall.arrangement().sort == by;
        view! {
            <button class=class aria-pressed=move || sorted().to_string() on:click=move |_| wall.arrange(|now| now.sort = by)>{by.word()}</button>
        }
    };
    view! {
        <div class="list-head" role="group" aria-label="Sort by">
            {sorts(Sort::Name, "head-name")}
            <span class="row-system">"System"</span>
            {sorts(Sort::Size, "row-size")}
            <span class="head-here">"Here"</span>
            <span class="state">"State"</span>
            <span class="row-servers">"Servers"</span>
            {sorts(Sort::LastUsed, "row-used")}
        </div>
    }
}

/// The lines above rows that belong together.
#[component]
fn Headings() -> impl IntoView {
    let wall = Wall::expect();
    move || {
        let heading = |(line, heading): (usize, Heading)| {
            let count = words::counted(heading.count, "image", "images");
            view! { <div class="group-row" style=("inset", inset(line, 1))><b>{heading.text}</b>" "<span class="faint">{count}</span></div> }
        };
        wall.headings().into_iter().map(heading).collect_view()
    }
}

/// Says what was looked for, and how to see something again.
#[component]
fn Nothing() -> impl IntoView {
    let wall = Wall::expect();
    let said = move || {
        let search = wall.search();
        let (search, tab, narrowed) = (search.trim(), wall.tab(), !wall.facets().is_empty());
        let within = match (tab, narrowed) {
            (Tab::All, false) => String::new(),
            (tab, false) => format!(" in \u{201c}{}\u{201d}", tab.word()),
            (Tab::All, true) => " in what the wall is narrowed down to".to_owned(),
            (tab, true) => format!(" in \u{201c}{}\u{201d} and in what the wall is narrowed down to", tab.word()),
        };
        match search {
            "" => format!("There is nothing{within}."),
            search => format!("No image has all words of \u{201c}{search}\u{201d}{within}."),
        }
    };
    view! {
        <div class="nothing">
            <p role="status">{said}</p>
            <button class="button" on:click=move |_| wall.show_all()>"Show all images"</button>
        </div>
    }
}

#[cfg(test)]
mod tests;
