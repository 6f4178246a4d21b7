//! The rail at the left: the places of the page, and its theme.

use leptos::prelude::*;

use crate::appearance::store::Appearance;
use crate::layout::Page;
use crate::layout::store::Layout;
use crate::ui::{self, icons};

#[component]
pub(crate) fn Rail() -> impl IntoView {
    let (layout, appearance) = (Layout::expect(), Appearance::expect());
    let place = move |page: Page, name: &'static str, shape: &'static str| {
        view! {
            <button class="rail-item" aria-current=move || (layout.page() == page).then_some("page") on:click=move |_| layout.update(|open| open.page = page)>
                {ui::icon(shape)}<span>{name}</span>
            </button>
        }
    };
    let theme = move || format!("Theme: {}", appearance.theme().word());
    view! {
        <nav class="rail" aria-label="Places">
            <div class="rail-mark">{ui::icon(icons::MARK)}</div>
            {place(Page::Wall, "Images", icons::WALL)}
            {place(Page::Machines, "Machines", icons::SCREEN)}
            {place(Page::Storage, "Storage", icons::STORAGE)}
            {place(Page::Servers, "Servers", icons::SERVERS)}
            <span class="spacer"></span>
            <button class="rail-item" aria-label=theme title=theme on:click=move |_| appearance.choose_next()>{ui::icon(icons::THEME)}<span>"Theme"</span></button>
            {place(Page::Settings, "Settings", icons::SETTINGS)}
        </nav>
    }
}
