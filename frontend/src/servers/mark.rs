//! The mark of a server: a colour and a division of the square, like a weaver's mark.

use leptos::prelude::*;
use pixelrts_shared::ServerId;

use super::store::Servers;

/// Servers take the three marks of the stylesheet in turn; this computer has one of its own.
#[component]
pub(crate) fn Mark(server: ServerId) -> impl IntoView {
    let servers = Servers::expect();
    let place = move || {
        let all = servers.all();
        let at = all.iter().position(|other| other.id == server);
        (at, at.and_then(|at| all[at].color.clone()))
    };
    let color = place.clone();
    view! {
        <i class=move || format!("server-mark mark-{}", place().0.map_or(0, |at| at % 3 + 1))
            style=("--mark-colour", move || color().1.unwrap_or_default())></i>
    }
}
