//! The top of the page: its title, the search, and what can be added.

use leptos::prelude::*;

use crate::layout::store::Layout;
use crate::layout::{Dialog, Page};
use crate::ui::{self, icons};
use crate::wall::store::Wall;
use crate::words;

#[component]
pub(crate) fn Header() -> impl IntoView {
    let (wall, layout) = (Wall::expect(), Layout::expect());
    let title = move || layout.page().word();
    let search = move |event| {
        wall.search_for(event_target_value(&event));
        if untrack(|| layout.page()) != Page::Wall {
            layout.update(|open| open.page = Page::Wall);
        }
    };
    view! {
        <header class="top-bar">
            <h1 class="page-title">{title}</h1>
            <label class="field search-field">
                {ui::icon(icons::SEARCH)}
                <span class="screen-reader-only">"Search images"</span>
                <input id="search" type="search" autocomplete="off" spellcheck="false"
                    placeholder=move || match wall.count() {
                        0 => "Search images".to_owned(),
                        count => format!("Search {}", words::counted(count, "image", "images")),
                    }
                    prop:value=move || wall.search()
                    on:input=search/>
                <kbd>"/"</kbd>
            </label>
            <button class="button" aria-label="Add server" title="Add server" on:click=move |_| layout.open_dialog(Dialog::AddServer)>
                {ui::icon(icons::PLUS)}<span class="word">"Add server"</span>
            </button>
            <button class="button borderless square wide-only" aria-label="Keys" title="Keys" on:click=move |_| layout.open_dialog(Dialog::Keyboard)>
                {ui::icon(icons::HELP)}
            </button>
        </header>
    }
}
