//! The frame of the page: rail, header, banner, footer, the navigation of a narrow page, and the page in the middle.

mod announcer;
mod banner;
mod dialogs;
mod footer;
mod header;
mod navigation;
mod rail;

use leptos::prelude::*;

use crate::details::Details;
use crate::layout::Page;
use crate::layout::store::Layout;
use crate::settings::SettingsPage;
use crate::tray::view::Tray;
use crate::wall::store::Wall;
use crate::wall::view::WallPage;
use crate::windows::view::Windows;

/// The whole page. The stores that its views read must be provided before.
#[component]
pub(crate) fn Frame() -> impl IntoView {
    view! {
        <div class="shell">
            <rail::Rail/>
            <header::Header/>
            <Middle/>
            <footer::Footer/>
            <navigation::Navigation/>
        </div>
        <dialogs::Dialogs/>
        <announcer::Announcer/>
    }
}

#[component]
fn Middle() -> impl IntoView {
    let (layout, wall) = (Layout::expect(), Wall::expect());
    let beside = Memo::new(move |_| wall.selected().filter(|_| layout.shows_details() && layout.page() == Page::Wall));
    view! {
        <banner::Banner/>
        {move || match layout.page() {
            Page::Settings => view! { <SettingsPage/> }.into_any(),
            Page::Wall => view! { <WallPage/> }.into_any(),
        }}
        <Windows/>
        {move || beside.get().map(|key| view! { <Details key=key/> })}
        <Show when=move || layout.shows_tray()><Tray/></Show>
    }
}
