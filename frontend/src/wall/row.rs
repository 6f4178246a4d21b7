//! The row of an image in the list.

use leptos::prelude::*;
use pixelrts_shared::Digest;
use pixelrts_shared::catalog::MergedEntry;

use crate::clock;
use crate::image::button::Button;
use crate::image::condition::Condition;
use crate::image::picture::{Extent, Stamp};
use crate::image::state::State;
use crate::image::state_line::StateLine;
use crate::image::text;
use crate::layout::store::Layout;
use crate::servers::mark::Mark;
use crate::words;

/// What stands in the row, without the row: see [`Card`](super::card::Card).
pub(crate) fn cells(
    key: Digest,
    entry: Memo<Option<std::sync::Arc<MergedEntry>>>,
    state: Memo<State>,
    condition: Memo<Condition>,
    tabindex: Signal<&'static str>,
) -> impl IntoView {
    let layout = Layout::expect();
    let about = move |entry: &MergedEntry| {
        let name = entry.entry.name.to_string();
        let used = entry.last_used.as_deref().and_then(clock::seconds_since);
        let used = used.map_or_else(|| "never".to_owned(), text::ago);
        let marks = entry.sources.iter().map(|source| view! { <Mark server=source.server.clone()/> }).collect_view();
        let servers = entry.sources.iter().map(crate::servers::health::name).collect::<Vec<_>>().join(", ");
        view! {
            <h2 class="image-name ellipsis">
                <button tabindex="-1" title=format!("{name}: details") on:click=move |_| layout.update(|open| open.details = true)>{name.clone()}</button>
            </h2>
            <span class="row-system ellipsis">{text::system(&entry.entry)}</span>
            <span class="row-size tabular">{words::bytes(entry.entry.size)}</span>
            <Extent key=key state=state/>
            <StateLine state=state.get()/>
            <span class="row-servers" title=servers>{marks}</span>
            <span class="row-used ellipsis">{used}</span>
        }
    };
    view! {
        <Stamp key=key/>
        {move || entry.get().map(|entry| about(&entry))}
        <div class="card-actions"><Button key=key condition=condition tabindex=tabindex/></div>
    }
}
