//! What is in the image: its picture, and its segments at their places.

use std::sync::Arc;

use leptos::prelude::*;
use pixelrts_shared::catalog::MergedEntry;

use crate::image::anatomy::{self, Bracket};
use crate::image::picture::{PLATE, Picture};
use crate::image::store::Images;
use crate::image::{bands, progress};
use crate::words;

/// The height of a name and its size, in pixels, as in the stylesheet.
const NAME: u32 = 36;

#[component]
pub(super) fn Contents(entry: Arc<MergedEntry>) -> impl IntoView {
    let (images, key) = (Images::expect(), entry.entry.sha256);
    let here = Memo::new(move |_| images.share_here(&key));
    let brackets = anatomy::brackets(&entry.entry, anatomy::height(&entry.entry, PLATE), NAME);
    let lines = brackets
        .iter()
        .map(|bracket| view! { <path d=bracket.path() stroke=bands::color(bracket.role)/> })
        .collect_view();
    let name = |bracket: Bracket| {
        view! {
            <div style:top=format!("{}px", bracket.label)><b class="ellipsis" title=bracket.name.clone()>{bracket.name.clone()}</b><span class="mono">{words::bytes(bracket.size)}</span></div>
        }
    };
    let streamable = entry.entry.index_sha256.is_some();
    let strips = usize::try_from(progress::strips(&entry.entry)).unwrap_or(usize::MAX);
    let note = move || {
        let extent = match here.get() {
            1000 => "all here",
            0 => "none here",
            _ => "some here",
        };
        if streamable { format!("{}, {extent}", words::counted(strips, "strip", "strips")) } else { extent.to_owned() }
    };
    view! {
        <section class="sheet-section">
            <h3 class="section-title">"What is in it" <span>{note}</span></h3>
            <div class="anatomy">
                <Picture entry=entry here=here/>
                <div class="anatomy-legend"><svg width="28" height="1" aria-hidden="true">{lines}</svg>{brackets.into_iter().map(name).collect_view()}</div>
            </div>
        </section>
    }
}
