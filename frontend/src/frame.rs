//! The frame of the page: rail, header, banner, footer, the navigation of a narrow page, and the page in the middle.

mod announcer;
mod banner;
mod dialogs;
mod footer;
mod header;
mod navigation;
mod rail;

use leptos::prelude::*;

use crate::layout::Page;
use crate::layout::store::Layout;
use crate::offline::view::Notices;
use crate::rest::Rest;
use crate::wall::store::Wall;
use crate::wall::view::WallPage;

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
    let (layout, wall, rest) = (Layout::expect(), Wall::expect(), Rest::expect());
    let beside = Memo::new(move |_| wall.selected().filter(|_| layout.shows_details() && layout.page() == Page::Wall));
    view! {
        <div class="banners"><Notices/><banner::Banner/></div>
        {move || match layout.page() {
            Page::Servers => rest.show(|parts| (parts.servers)()),
            Page::Settings => rest.show(|parts| (parts.settings)()),
            Page::Machines => rest.show(|parts| (parts.machines)()),
            Page::Storage => rest.show(|parts| (parts.storage)()),
            Page::Wall => view! { <WallPage/> }.into_any(),
        }}
        {rest.show(|parts| (parts.windows)())}
        {move || beside.get().map(|key| rest.show(move |parts| (parts.details)(key)))}
        <Show when=move || layout.shows_tray()>{rest.show(|parts| (parts.tray)())}</Show>
    }
}
