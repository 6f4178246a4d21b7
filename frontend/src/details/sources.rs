//! Where the image comes from: the servers that have it, and whether they answer.

use leptos::prelude::*;
use pixelrts_shared::catalog::{MergedEntry, Source};
use pixelrts_shared::server::HealthState;

use crate::catalog::store::Catalog;
use crate::servers::health;
use crate::servers::mark::Mark;
use crate::ui::problem::ProblemView;
use crate::ui::{self, icons};

pub(super) fn sources(entry: &MergedEntry) -> impl IntoView + use<> {
    let (catalog, several) = (Catalog::expect(), entry.sources.len() > 1);
    let row = |source: &Source| {
        let (name, source) = (health::name(source), source.clone());
        let server = source.server.clone();
        let now = Memo::new(move |_| Source { health: catalog.health(&source), ..source.clone() });
        let reading = move || now.with(health::of_source);
        let down = move || now.with(|source| source.health.state == HealthState::Down);
        let problem = move || now.with(|source| source.health.last_error.clone()).filter(|_| down());
        view! {
            <li>
                <Mark server=server/><span class="ellipsis">{name}</span>
                <span class="source-health" class:failed=down>
                    {move || ui::icon(if down() { icons::ERROR } else { icons::CHECK })}
                    {reading}
                </span>
                {move || problem().map(|problem| view! { <div class="source-problem"><ProblemView problem=problem/></div> })}
            </li>
        }
    };
    let note = match entry.sources.len() {
        0 => "No server offers it any more. It is kept on this computer.",
        _ if several => "all have the same image (same SHA-256)",
        _ => "",
    };
    view! {
        <section class="sheet-section">
            <h3 class="section-title">"Sources" <span>{note}</span></h3>
            <ul class="source-list">{entry.sources.iter().map(row).collect_view()}</ul>
        </section>
    }
}
