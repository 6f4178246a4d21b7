//! Servers in a line: their marks, names and health.

use leptos::prelude::*;
use pixelrts_shared::catalog::{MergedEntry, Source};
use pixelrts_shared::server::Server;

use super::health::{self, Reading};
use super::mark::Mark;
use super::store::Servers;
use crate::clock;
use crate::ui::{self, icons};

/// The marks of the servers that have an image, then their names.
pub(crate) fn sources(entry: &MergedEntry) -> impl IntoView + use<> {
    let mark = |source: &Source| view! { <Mark server=source.server.clone()/> };
    let marks = entry.sources.iter().map(mark).collect_view();
    let names = entry.sources.iter().map(health::name).collect::<Vec<_>>().join(", ");
    (!entry.sources.is_empty())
        .then(|| view! { <div class="server-line">{marks}<span class="ellipsis">{names}</span></div> })
}

/// For the bar above the wall: each server and its health.
#[component]
pub(crate) fn HealthLine() -> impl IntoView {
    let servers = Servers::expect();
    move || {
        let all = servers.all();
        if all.is_empty() {
            return view! { <span class="faint">"No servers"</span> }.into_any();
        }
        let line = |server: Server| {
            view! { <span class="server-chip"><Mark server=server.id.clone()/><span class="ellipsis">{server.name.to_string()}</span>{health(&server)}</span> }
        };
        all.into_iter().map(line).collect_view().into_any()
    }
}

/// The health of a server. A failure has a shape and a colour, and shows its reason on hover.
pub(crate) fn health(server: &Server) -> AnyView {
    let seconds_ago = server.health.checked_at.as_deref().and_then(clock::seconds_since);
    match health::of_server(server, seconds_ago) {
        Reading::Quiet(text) => view! { <span class="mono faint">{text}</span> }.into_any(),
        Reading::Down { text, why } => {
            view! { <span class="status" data-status="error" title=why>{ui::icon(icons::ERROR)}<span>{text}</span></span> }
                .into_any()
        }
    }
}
