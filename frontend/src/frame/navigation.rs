//! The navigation of a narrow page.

use leptos::prelude::*;

use crate::downloads::store::Downloads;
use crate::layout::store::Layout;
use crate::layout::{Open, Page};
use crate::ui::{self, icons};
use crate::wall::filter::Tab;
use crate::wall::store::Wall;

#[component]
pub(crate) fn Navigation() -> impl IntoView {
    let (layout, wall, downloads) = (Layout::expect(), Wall::expect(), Downloads::expect());
    let show_tab = move |tab: Tab| {
        layout.update(Open::show_wall_alone);
        wall.show_tab(tab);
    };
    let is_here = move |page: Page| layout.page() == page && !layout.shows_tray();
    let current = |is_current: bool| is_current.then_some("page");
    let count = move || Some(downloads.under_way().count).filter(|count| *count > 0).map(|count| format!(" {count}"));
    let show = move |page: Page| {
        layout.update(|open| {
            open.tray = false;
            open.page = page;
        });
    };
    view! {
        <nav class="bottom-navigation" aria-label="Main">
            <button aria-current=move || current(is_here(Page::Wall)) on:click=move |_| show_tab(Tab::All)>
                {ui::icon(icons::WALL)}"Images"
            </button>
            <button aria-current=move || current(is_here(Page::Machines)) on:click=move |_| show(Page::Machines)>{ui::icon(icons::SCREEN)}"Machines"</button>
            <button aria-current=move || current(is_here(Page::Storage)) on:click=move |_| show(Page::Storage)>{ui::icon(icons::STORAGE)}"Storage"</button>
            <button aria-current=move || current(layout.shows_tray()) on:click=move |_| layout.update(|open| open.tray = !open.tray)>
                {ui::icon(icons::DOWNLOADING)}
                <span>"Downloads" {count}</span>
            </button>
            <button aria-current=move || current(is_here(Page::Settings)) on:click=move |_| show(Page::Settings)>{ui::icon(icons::SETTINGS)}"Settings"</button>
        </nav>
    }
}
