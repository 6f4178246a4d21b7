//! The column that narrows down the wall.

use leptos::prelude::*;

use super::facet::Facets;
use super::store::Wall;
use crate::words;

/// So many values of a kind are offered. Others are found by the search.
const MOST: usize = 12;

#[component]
pub(crate) fn Narrow() -> impl IntoView {
    let wall = Wall::expect();
    let systems =
        move || wall.values().systems.into_iter().map(|(value, count)| (value.clone(), value, count)).collect();
    let architectures =
        move || wall.values().architectures.into_iter().map(|(value, count)| (value.clone(), value, count)).collect();
    let servers = move || wall.values().servers.into_iter().map(|((id, name), count)| (id, name, count)).collect();
    view! {
        <aside class="facet-panel" aria-label="Narrow down">
            {kind("System", systems, |facets| &mut facets.system)}
            {kind("Architecture", architectures, |facets| &mut facets.architecture)}
            {kind("Server", servers, |facets| &mut facets.server)}
            {move || (!wall.facets().is_empty()).then(|| view! {
                <button class="button facet-clear" on:click=move |_| wall.narrow(|facets| *facets = Facets::default())>"Show all"</button>
            })}
        </aside>
    }
}

/// The values of one kind: one of them can be chosen.
fn kind<T: Clone + PartialEq + Send + Sync + 'static>(
    title: &'static str,
    values: impl Fn() -> Vec<(T, String, usize)> + Send + 'static,
    chosen: fn(&mut Facets) -> &mut Option<T>,
) -> impl IntoView {
    let wall = Wall::expect();
    let facet = move |(value, name, count): (T, String, usize)| {
        let wanted = Some(value.clone());
        let is_chosen = Memo::new(move |_| *chosen(&mut wall.facets()) == wanted);
        let choose = move |_| {
            let wanted = (!is_chosen.get_untracked()).then(|| value.clone());
            wall.narrow(|facets| *chosen(facets) = wanted);
        };
        view! {
            <button class="facet" aria-pressed=move || is_chosen.get().to_string() on:click=choose>
                <span class="ellipsis">{name}</span><span>{words::grouped(count)}</span>
            </button>
        }
    };
    view! { <h3>{title}</h3>{move || values().into_iter().take(MOST).map(facet).collect_view()} }
}
