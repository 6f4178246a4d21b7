//! What is in the chunk that is loaded after the first paint: all that only this function refers to.

use leptos::prelude::*;

use crate::cache::view::StorageView;
use crate::details::Details;
use crate::keyboard::view::Keys;
use crate::machines::view::MachinesView;
use crate::rest::Parts;
use crate::servers::add::AddServer;
use crate::servers::table::ServersPage;
use crate::settings::SettingsPage;
use crate::shell::Shell;
use crate::tray::view::Tray;
use crate::windows::view::Windows;

/// Follows the backend for as long as the page is open.
pub(crate) type Follow = fn(Shell);

pub(crate) fn parts() -> (Parts, Follow) {
    let parts = Parts {
        servers: || view! { <ServersPage/> }.into_any(),
        settings: || view! { <SettingsPage/> }.into_any(),
        machines: || view! { <MachinesView/> }.into_any(),
        storage: || view! { <StorageView/> }.into_any(),
        details: |key| view! { <Details key=key/> }.into_any(),
        tray: || view! { <Tray/> }.into_any(),
        windows: || view! { <Windows/> }.into_any(),
        add_server: || view! { <AddServer/> }.into_any(),
        keys: || view! { <Keys/> }.into_any(),
    };
    (parts, Shell::follow)
}
