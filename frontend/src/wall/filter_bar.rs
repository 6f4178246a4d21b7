//! What is shown of the wall: its tabs, and how the servers are.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, KeyboardEvent};

use super::filter::Tab;
use super::sort::{Group, Look, Sort};
use super::store::Wall;
use crate::servers::view::HealthLine;
use crate::ui::{self, icons};
use crate::words;

#[component]
pub(crate) fn FilterBar() -> impl IntoView {
    view! {
        <div class="filter-bar">
            <Tabs/>
            <span class="spacer"></span>
            <div class="server-chips wide-only"><HealthLine/></div>
            <Arranging/>
        </div>
    }
}

/// How the images are shown, sorted and grouped.
#[component]
fn Arranging() -> impl IntoView {
    let wall = Wall::expect();
    let is_list = Memo::new(move |_| wall.arrangement().look == Look::List);
    let narrows = Memo::new(move |_| wall.arrangement().narrows);
    let sort = move |event| {
        let chosen = Sort::ALL.into_iter().find(|sort| sort.word() == event_target_value(&event));
        chosen.into_iter().for_each(|sort| wall.arrange(|by| by.sort = sort));
    };
    let group = move |event| {
        let chosen = Group::ALL.into_iter().find(|group| group.word() == event_target_value(&event));
        chosen.into_iter().for_each(|group| wall.arrange(|by| by.group = group));
    };
    view! {
        <div class="arranging">
            <select class="button" aria-label="Sort by" on:change=sort prop:value=move || wall.arrangement().sort.word()>
                {Sort::ALL.map(|sort| view! { <option value=sort.word() selected=move || wall.arrangement().sort == sort>{sort.word()}</option> }).collect_view()}
            </select>
            <Show when=move || is_list.get()>
                <select class="button wide-only" aria-label="Group" on:change=group prop:value=move || wall.arrangement().group.word()>
                    {Group::ALL.map(|group| view! { <option value=group.word() selected=move || wall.arrangement().group == group>{group.word()}</option> }).collect_view()}
                </select>
            </Show>
            <button class="button square wide-only" class:pressed=move || narrows.get() aria-label="Narrow down" title="Narrow down"
                aria-expanded=move || narrows.get().to_string() on:click=move |_| wall.arrange(|by| by.narrows = !by.narrows)>
                {ui::icon(icons::FILTER)}
            </button>
            <button class="button square" class:pressed=move || is_list.get() aria-label="List" title="List (V)"
                aria-pressed=move || is_list.get().to_string() on:click=move |_| wall.switch_look()>
                {ui::icon(icons::LIST)}
            </button>
        </div>
    }
}

/// One stop of the Tab key: arrow keys go from tab to tab.
#[component]
fn Tabs() -> impl IntoView {
    let wall = Wall::expect();
    let is_there = move |(place, tab): (usize, Tab)| {
        (tab.stays() || wall.tab() == tab || wall.counts().is_some_and(|counts| counts[place] > 0)).then_some(tab)
    };
    let there = Memo::new(move |_| Tab::ALL.into_iter().enumerate().filter_map(is_there).collect::<Vec<_>>());
    let key = move |event: KeyboardEvent| {
        let to = there.with_untracked(|there| untrack(|| wall.tab()).after_key(&event.key(), there));
        if let Some(tab) = to {
            event.prevent_default();
            event.stop_propagation();
            wall.show_tab(tab);
            if let Some(button) =
                document().get_element_by_id(&tab_id(tab)).and_then(|button| button.dyn_into::<HtmlElement>().ok())
            {
                let _ = button.focus();
            }
        }
    };
    view! {
        <div class="filter-tabs" role="tablist" aria-label="Show" on:keydown=key>
            {Tab::ALL.into_iter().enumerate().map(|(place, tab)| {
                let selected = move || wall.tab() == tab;
                let count = move || match tab {
                    Tab::All => Some(words::grouped(wall.count())),
                    _ => wall.counts().map(|counts| words::grouped(counts[place])),
                };
                view! {
                    <button class="filter-tab" role="tab" id=tab_id(tab) hidden=move || there.with(|there| !there.contains(&tab))
                        aria-selected=move || selected().to_string() tabindex=move || if selected() { "0" } else { "-1" }
                        on:click=move |_| wall.show_tab(tab)>
                        {(tab == Tab::NeedsYou).then(|| ui::icon(icons::ERROR))}
                        <i class="long-word">{tab.word()}</i>
                        <i class="short-word">{tab.short_word()}</i>
                        <span>{count}</span>
                    </button>
                }
            }).collect_view()}
        </div>
    }
}

fn tab_id(tab: Tab) -> String {
    format!("show-{}", tab.short_word().to_lowercase().replace(' ', "-"))
}
