//! The header of the page: search, tabs, theme, settings.

use leptos::prelude::*;

use crate::appearance::store::Appearance;
use crate::layout::store::Layout;
use crate::layout::{Dialog, Open, Page};
use crate::ui::{self, icons};
use crate::wall::filter::Tab;
use crate::wall::store::Wall;
use crate::words;

#[component]
pub(crate) fn Header() -> impl IntoView {
    let (wall, layout, appearance) = (Wall::expect(), Layout::expect(), Appearance::expect());
    let show_wall = move || layout.update(|open| open.page = Page::Wall);
    let theme = move || format!("Theme: {}", appearance.theme().word());
    view! {
        <header class="page-header">
            <div class="brand">{ui::icon(icons::MARK)}<span>"PixelRTS"</span></div>
            <label class="search">
                {ui::icon(icons::SEARCH)}
                <span class="screen-reader-only">"Search images"</span>
                <input id="search" type="search" autocomplete="off" spellcheck="false"
                    placeholder=move || match wall.counts()[0] {
                        0 => "Search images".to_owned(),
                        count => format!("Search {}", words::counted(count, "image", "images")),
                    }
                    prop:value=wall.search
                    on:input=move |event| { wall.search.set(event_target_value(&event)); show_wall(); }/>
                <kbd>"/"</kbd>
            </label>
            <div class="tabs" role="tablist" aria-label="Show">
                {Tab::ALL.into_iter().enumerate().map(|(place, tab)| view! {
                    <button class="tab" role="tab" aria-selected=move || (wall.tab.get() == tab && layout.page() == Page::Wall).to_string()
                        on:click=move |_| { wall.tab.set(tab); show_wall(); }>
                        {tab.word()} " " <span class="mono">{move || words::grouped(wall.counts()[place])}</span>
                    </button>
                }).collect_view()}
            </div>
            <span class="spacer"></span>
            <button class="button wide-only" on:click=move |_| layout.open_dialog(Dialog::AddServer)>{ui::icon(icons::PLUS)}"Add server"</button>
            <span class="button-pair wide-only">
                <button class="button borderless square" aria-label=theme title=theme on:click=move |_| appearance.choose_next()>{ui::icon(icons::THEME)}</button>
                <button class="button borderless square" class:pressed=move || layout.page() == Page::Settings aria-label="Settings" title="Settings"
                    on:click=move |_| layout.update(Open::toggle_settings)>
                    {ui::icon(icons::SETTINGS)}
                </button>
            </span>
        </header>
    }
}
