//! What a machine is doing, in views that follow the clock.

use leptos::prelude::*;
use pixelrts_shared::machine::{BootStage, Machine, MachineState, StageTime};
use pixelrts_shared::{Digest, MachineId};

use super::stages::{self, Progress};
use super::store::Machines;
use super::summary;
use crate::clock::Clock;
use crate::ui::{self, icons};
use crate::words;

/// The machine in one line, with its running time or how it ended.
#[component]
pub(crate) fn Summary(machine: Machine) -> impl IntoView {
    let (machines, clock) = (Machines::expect(), Clock::expect());
    move || {
        // The line of a machine that is over does not change with the time.
        let uptime = if machine.state.is_over() { 0 } else { machines.uptime(&machine, clock.now()) };
        summary::summary(&machine, uptime)
    }
}

/// The stages of a boot with their measured durations. Without a machine, the backend has not accepted the boot yet.
#[component]
pub(crate) fn Stages(machine: Option<Machine>) -> impl IntoView {
    let (machines, clock) = (Machines::expect(), Clock::expect());
    let Some(machine) = machine else {
        return view! { <ol class="stages"><li class="now">{ui::icon(icons::HALF)}"Asking the backend"</li></ol> }
            .into_any();
    };
    let row = |(stage, progress): (BootStage, Progress)| {
        let (class, icon) = match progress {
            Progress::Done(_) => ("", icons::CHECK),
            Progress::Now => ("now", icons::HALF),
            Progress::ToCome => ("to-come", icons::DOT),
        };
        let duration = {
            let machine = machine.clone();
            move || match progress {
                Progress::Done(ms) => Some(words::measured(ms)),
                Progress::Now => machines.elapsed_in_stage(&machine, clock.now()).map(|ms| words::span(ms / 1000)),
                Progress::ToCome => None,
            }
        };
        view! { <li class=class>{ui::icon(icon)}{stages::word(stage)}<span class="mono">{duration}</span></li> }
    };
    view! { <ol class="stages">{stages::progress(&machine).into_iter().map(row).collect_view()}</ol> }.into_any()
}

/// The stages of a boot that is over, with their durations.
pub(crate) fn booted(machine: &Machine) -> impl IntoView + use<> {
    let row = |stage: &StageTime| {
        view! { <li>{ui::icon(icons::CHECK)}{stages::word(stage.name)}<span class="mono">{words::measured(stage.ms)}</span></li> }
    };
    view! { <ol class="stages">{machine.stages.iter().map(row).collect_view()}</ol> }
}

/// A table of machines: all of them, or those of one image. Each can be stopped, and taken off the list once it is over.
#[component]
pub(crate) fn MachineRows(of: Option<Digest>) -> impl IntoView {
    let machines = Machines::expect();
    let ids = Memo::new(move |_| machines.ids(of));
    let row = move |id: MachineId| {
        let machine = Memo::new(move |_| machines.get(&id));
        move || machine.get().map(|machine| row(machines, &machine, of.is_none()))
    };
    view! {
        <table class="table machine-table" class:narrow=of.is_some()>
            <thead><tr><th>{if of.is_some() { "Machine" } else { "Image" }}</th><th>"State"</th><th class="number">"CPUs"</th><th></th></tr></thead>
            <tbody><For each=move || ids.get() key=Clone::clone children=row/></tbody>
        </table>
    }
}

fn row(machines: Machines, machine: &Machine, named: bool) -> AnyView {
    let (over, stopping) = (machine.state.is_over(), machine.state == MachineState::Stopping);
    let (id, name) = (machine.id.clone(), machine.name.clone());
    let title = if named { name.clone() } else { id.to_string() };
    let label = move |verb: &str| Some(format!("{verb} {name}"));
    let (stops, removes, opens) = (id.clone(), id.clone(), id);
    let key = machine.key;
    view! {
        <tr data-state=stages::state(machine) data-key=key.to_string()>
            <td class="name-cell"><b class="ellipsis">{title}</b></td>
            <td><span class="state"><b>{stages::state_word(machine.state)}</b><span class="ellipsis"><Summary machine=machine.clone()/></span></span></td>
            <td class="number">{machine.cpus.to_string()}</td>
            <td class="row-actions">
                {(!over).then(|| view! { <button class="button small ready" aria-label=label("Open") on:click=move |_| machines.open(opens.clone())>"Open"</button> })}
                {if over {
                    view! { <button class="button small" aria-label=label("Remove") on:click=move |_| machines.remove(removes.clone())>"Remove"</button> }.into_any()
                } else {
                    view! { <button class="button small" disabled=stopping aria-label=label("Stop") on:click=move |_| machines.stop(stops.clone())>{if stopping { "Stopping" } else { "Stop" }}</button> }.into_any()
                }}
            </td>
        </tr>
    }
    .into_any()
}

/// All machines of the backend.
#[component]
pub(crate) fn MachinesView() -> impl IntoView {
    let machines = Machines::expect();
    let none = Memo::new(move |_| machines.ids(None).is_empty());
    view! {
        <main class="page">
            {move || if none.get() {
                view! { <p class="nothing">"No machine is on, and none has ended since the backend started. Boot an image on the wall."</p> }.into_any()
            } else {
                view! { <MachineRows of=None/> }.into_any()
            }}
        </main>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::list::tests::machine;
    use crate::testing::Page;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    fn stages_are_marked_as_done_now_and_to_come() {
        let mut machine = machine("1", "00", "starting", Some("mounting"));
        machine.stages = vec![StageTime { name: BootStage::Verifying, ms: 310 }];
        let page = Page::mount(|_| {}, move || view! { <Stages machine=Some(machine)/> });
        assert_eq!(page.text(), "Verifying0.31 sMountingStartingLoadingKernel");
        assert_eq!(page.find(".now").and_then(|now| now.text_content()).as_deref(), Some("Mounting"));
        let waiting = Page::mount(|_| {}, || view! { <Stages machine=None/> });
        assert_eq!(waiting.text(), "Asking the backend");
    }

    #[wasm_bindgen_test]
    async fn machines_are_listed_with_what_can_be_done_with_them() {
        let machines = [machine("1", "00", "stopped", None), machine("2", "11", "running", Some("kernel"))];
        let page = Page::mount(|shell| shell.machines.accept(machines.to_vec()), || view! { <MachinesView/> });
        page.until("the newest first", |page| page.buttons() == ["Open Entry", "Stop Entry", "Remove Entry"]).await;
        page.press("Open Entry");
        assert_eq!(untrack(|| page.shell.windows.all()), std::slice::from_ref(&machines[1].id));
        let gone = Page::mount(|_| {}, || view! { <MachinesView/> });
        assert!(gone.text().starts_with("No machine is on"), "{}", gone.text());
    }

    #[wasm_bindgen_test]
    fn a_machine_that_is_over_says_how_it_ended() {
        let mut machine = machine("1", "00", "stopped", None);
        machine.ended = Some("powered off by itself".to_owned());
        let page = Page::mount(|_| {}, move || view! { <Summary machine=machine/> });
        assert_eq!(page.text(), "Powered off by itself.");
    }
}
