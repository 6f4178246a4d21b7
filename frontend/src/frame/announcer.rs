//! What assistive technology says of progress, at most every 5 seconds.

use leptos::prelude::*;
use pixelrts_shared::Digest;

use crate::clock::Clock;
use crate::image::condition::Condition;
use crate::image::store::Images;
use crate::image::text::announcement;
use crate::wall::store::Wall;

const SECONDS: u32 = 5;

/// Speaks of the images that arrive, and of the selected one.
#[component]
pub(crate) fn Announcer() -> impl IntoView {
    let (images, wall, clock) = (Images::expect(), Wall::expect(), Clock::expect());
    let spoken = RwSignal::new(String::new());
    let conditions = Memo::new(move |_| {
        let sentence = |key: Digest| {
            let condition = images.condition_now(&key);
            let here = images.share_here(&key) == 1000;
            (condition != Condition::Idle).then(|| announcement(&images.catalog.name(&key), &condition, here))
        };
        let keys = images.downloads.active().into_iter().chain(wall.selected());
        keys.filter_map(sentence).collect::<Vec<_>>().join(". ")
    });
    let ticks = StoredValue::new(0_u32);
    Effect::new(move |_| {
        clock.now();
        ticks.update_value(|ticks| *ticks += 1);
        if ticks.get_value().is_multiple_of(SECONDS) {
            let now = conditions.get_untracked();
            if spoken.with_untracked(|spoken| *spoken != now) {
                spoken.set(now);
            }
        }
    });
    view! { <p class="screen-reader-only" role="status" aria-live="polite">{spoken}</p> }
}
