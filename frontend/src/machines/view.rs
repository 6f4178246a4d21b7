//! What a machine is doing, in words.

use leptos::prelude::*;
use pixelrts_shared::machine::{AccelKind, BootStage, Machine, MachineState};

use crate::app::Shell;
use crate::catalog::condition::stage_word;
use crate::ui::{self, icons};
use crate::words;

/// `Up 12 min, KVM, 2 GB`, or how it ended: `Powered off by itself.`
pub(crate) fn running(shell: Shell, machine: &Machine) -> String {
    let accel = machine.accel.as_ref().map(|accel| match accel.used {
        AccelKind::Kvm => "KVM",
        AccelKind::Tcg => "without KVM",
    });
    let memory = memory(&machine.memory);
    let parts = match machine.state {
        state if state.is_over() => {
            return machine.ended.clone().map_or_else(|| "Ended.".to_owned(), |ended| words::sentence(&ended));
        }
        MachineState::Paused => "Paused".to_owned(),
        MachineState::Stopping => "Stopping".to_owned(),
        _ => format!("Up {}", words::span(shell.machines.uptime(machine, shell.clock.get()))),
    };
    [Some(parts.as_str()), accel, Some(&memory)].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// `2G` as a person reads it: `2 GB`.
pub(crate) fn memory(text: &str) -> String {
    let (number, unit) = text.split_at(text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len());
    match unit.to_ascii_uppercase().as_str() {
        "K" => format!("{number}\u{a0}kB"),
        "G" => format!("{number}\u{a0}GB"),
        "T" => format!("{number}\u{a0}TB"),
        "M" | "" => format!("{number}\u{a0}MB"),
        _ => text.to_owned(),
    }
}

/// Stages with their measured durations: done, now, and to come until the console speaks.
#[component]
pub(crate) fn Stages(machine: Option<Machine>) -> impl IntoView {
    let shell = Shell::get();
    let Some(machine) = machine else {
        return view! { <ol class="stages"><li class="now">{ui::icon(icons::HALF)}"Asking the backend"</li></ol> }
            .into_any();
    };
    let done = machine.stages.iter().filter(|done| Some(done.name) != machine.stage).map(|done| {
        view! { <li>{ui::icon(icons::CHECK)}{stage_word(done.name)}<span class="m">{words::measured(done.ms)}</span></li> }
    });
    let now = machine.stage.map(|stage| {
        let took = {
            let machine = machine.clone();
            move || shell.machines.in_stage(&machine, shell.clock.get()).map(|ms| words::span(ms / 1000))
        };
        view! { <li class="now">{ui::icon(icons::HALF)}{stage_word(stage)}<span class="m">{took}</span></li> }
    });
    let order = [BootStage::Verifying, BootStage::Mounting, BootStage::Starting, BootStage::Loading, BootStage::Kernel];
    let reached = machine.stage.or(machine.stages.last().map(|done| done.name));
    let to_come = order.into_iter().filter(|stage| Some(*stage) > reached).map(|stage| {
        view! { <li class="todo">{ui::icon(icons::DOT)}{stage_word(stage)}</li> }
    });
    view! { <ol class="stages">{done.collect_view()}{now}{to_come.collect_view()}</ol> }.into_any()
}
