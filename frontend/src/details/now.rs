//! What is going on with the image: how far it is, how it ended, or what went wrong and what mends it.

use std::sync::Arc;

use leptos::prelude::*;
use pixelrts_shared::Digest;
use pixelrts_shared::catalog::MergedEntry;
use pixelrts_shared::machine::Machine;

use crate::image::condition::Condition;
use crate::image::picture::Bar;
use crate::image::store::Images;
use crate::image::text;
use crate::machines::store::Machines;
use crate::machines::view::{MachineRows, Stages, booted};
use crate::ui::problem::ProblemView;
use crate::words;

/// `rest`: the options follow, which say the same as the sentence for an image that is here.
pub(super) fn now(
    key: Digest,
    entry: &Arc<MergedEntry>,
    condition: Memo<Condition>,
    rest: Memo<bool>,
) -> impl IntoView + use<> {
    let machines = Machines::expect();
    let entry = Arc::clone(entry);
    let several = Memo::new(move |_| machines.count_of(&key) > 1);
    view! {
        <section class="sheet-section" class:plain=move || rest.get()>
            {move || condition.with(|condition| progress(key, &entry, condition))}
            {move || several.get().then(|| view! {
                <h3 class="section-title">"Machines of this image"</h3>
                <MachineRows of=Some(key)/>
            })}
        </section>
    }
}

fn progress(key: Digest, entry: &MergedEntry, condition: &Condition) -> AnyView {
    let images = Images::expect();
    match condition {
        Condition::Idle | Condition::Stopped(_) => {
            let kept = images.downloads.of(&key).map_or(0, |download| download.received);
            view! { <p class="quiet">{format!("{}.", text::cost(entry, kept))}</p> }.into_any()
        }
        Condition::Unavailable(why) => view! { <p class="quiet">{why.clone()}</p> }.into_any(),
        Condition::Booting(machine) => view! { <Stages machine=machine.clone()/> }.into_any(),
        Condition::Running(machine) => running(machine),
        Condition::Downloading(download) => view! {
            <Bar key=key/>
            <p class="quiet tabular">{text::progress(download, &entry.entry)}</p>
        }
        .into_any(),
        Condition::Retrying(download) => view! {
            <Bar key=key/>
            <p class="quiet tabular">{format!("{} {}", text::interruption(download), text::kept(download, &entry.entry))}</p>
        }
        .into_any(),
        Condition::Error(problem, _) => {
            let action = images.action(condition);
            let button = action.map(|action| {
                let label = action.label();
                view! { <button class="button" on:click=move |_| images.perform(key, action.clone())>{label}</button> }
            });
            view! { <ProblemView problem=problem.clone()>{button}</ProblemView> }.into_any()
        }
    }
}

/// What runs the machine, and where it did not get what its image asks for.
fn running(machine: &Machine) -> AnyView {
    let accel = machine.accel.as_ref().map(|accel| words::sentence(&accel.reason));
    let notes = machine.notes.iter().map(|note| view! { <p class="quiet">{note.clone()}</p> }).collect_view();
    let how = (!machine.stages.is_empty()).then(|| {
        view! { <h3 class="section-title booted">"How it booted"</h3>{booted(machine)} }
    });
    view! { <p class="quiet">{accel}</p>{notes}{how} }.into_any()
}
