//! The footer of the page: minimised windows, machines, downloads.

use leptos::prelude::*;

use crate::downloads::list::UnderWay;
use crate::downloads::store::Downloads;
use crate::layout::store::Layout;
use crate::machines::store::Machines;
use crate::machines::summary;
use crate::ui::{self, icons};
use crate::windows::store::Windows;
use crate::words;

#[component]
pub(crate) fn Footer() -> impl IntoView {
    let machines = Machines::expect();
    view! {
        <footer class="page-foot">
            <span class="spacer"></span>
            <MinimisedWindows/>
            <span class="wide-only">{ui::icon(icons::SCREEN)}{move || summary::counted(machines.counts())}</span>
            <span class="separator wide-only"></span>
            <DownloadsButton/>
        </footer>
    }
}

#[component]
fn MinimisedWindows() -> impl IntoView {
    let (windows, machines) = (Windows::expect(), Machines::expect());
    move || {
        let button = |id: pixelrts_shared::MachineId| {
            let name = machines.get(&id).map_or_else(|| "Console".to_owned(), |machine| machine.name);
            view! {
                <button class="button" aria-label=format!("Show the serial console of {name}") on:click=move |_| windows.open(id.clone())>
                    {ui::icon(icons::SCREEN)}<span class="ellipsis">{name.clone()}</span>
                </button>
            }
        };
        windows.minimised().into_iter().map(button).collect_view()
    }
}

#[component]
fn DownloadsButton() -> impl IntoView {
    let (downloads, layout) = (Downloads::expect(), Layout::expect());
    view! {
        <button class="button borderless wide-only" class:pressed=move || layout.shows_tray() aria-expanded=move || layout.shows_tray().to_string()
            on:click=move |_| layout.update(|open| open.tray = !open.tray)>
            {ui::icon(icons::DOWNLOADING)}
            {move || match downloads.under_way() {
                UnderWay { count: 0, .. } => view! { "No downloads" }.into_any(),
                UnderWay { count, bytes_per_second } => view! {
                    {words::counted(count, "download", "downloads")} <span class="mono">{words::rate(bytes_per_second)}</span>
                }.into_any(),
            }}
        </button>
    }
}
