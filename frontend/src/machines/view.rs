//! What a machine is doing, in views that follow the clock.

use leptos::prelude::*;
use pixelrts_shared::machine::{BootStage, Machine};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::list::tests::machine;
    use crate::testing::Page;
    use pixelrts_shared::machine::StageTime;
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
    fn a_machine_that_is_over_says_how_it_ended() {
        let mut machine = machine("1", "00", "stopped", None);
        machine.ended = Some("powered off by itself".to_owned());
        let page = Page::mount(|_| {}, move || view! { <Summary machine=machine/> });
        assert_eq!(page.text(), "Powered off by itself.");
    }
}
