//! The stages of a boot: which are done, which one is current, which are to come, and how long each took.

use pixelrts_shared::MachineId;
use pixelrts_shared::image_status::is_up;
use pixelrts_shared::machine::{BootStage, Machine, MachineState};

use super::list::MachineList;

/// When this page saw machines enter the stage they are in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageClock {
    /// Machines of the first list may have been in their stage for long, and it is not known for how long.
    started: bool,
    entered: Vec<(MachineId, BootStage, u64)>,
}

impl StageClock {
    /// `before` is what was known until `news` came, at `now` (milliseconds since 1970).
    pub fn observe(&mut self, before: &MachineList, news: &[Machine], now: u64) {
        self.entered.retain(|(id, ..)| news.iter().any(|machine| machine.id == *id));
        for machine in news {
            let known = before.get(&machine.id).and_then(|held| held.stage);
            if let Some(stage) = machine.stage.filter(|stage| self.started && known != Some(*stage)) {
                self.entered.retain(|(id, ..)| *id != machine.id);
                self.entered.push((machine.id.clone(), stage, now));
            }
        }
        self.started = true;
    }

    /// How long a machine has been in its stage, in milliseconds, where this page saw the stage begin.
    #[must_use]
    pub fn elapsed(&self, machine: &Machine, now: u64) -> Option<u64> {
        let (_, stage, since) = self.entered.iter().find(|(id, ..)| *id == machine.id)?;
        (Some(*stage) == machine.stage).then(|| now.saturating_sub(*since))
    }
}

/// How far a stage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It took this many milliseconds.
    Done(u64),
    Now,
    ToCome,
}

/// The stages that a person waits for, until the guest writes to its console. Fetching is shown as a download.
const AWAITED: [BootStage; 5] =
    [BootStage::Verifying, BootStage::Mounting, BootStage::Starting, BootStage::Loading, BootStage::Kernel];

/// All stages of a boot in their order.
#[must_use]
pub fn progress(machine: &Machine) -> Vec<(BootStage, Progress)> {
    let done = machine.stages.iter().filter(|done| Some(done.name) != machine.stage);
    let reached = machine.stage.or(machine.stages.last().map(|done| done.name));
    let to_come = AWAITED.into_iter().filter(|stage| Some(*stage) > reached);
    done.map(|done| (done.name, Progress::Done(done.ms)))
        .chain(machine.stage.map(|stage| (stage, Progress::Now)))
        .chain(to_come.map(|stage| (stage, Progress::ToCome)))
        .collect()
}

/// The state of a machine as a word.
#[must_use]
pub fn state_word(state: MachineState) -> &'static str {
    match state {
        MachineState::Fetching => "Waits for its image",
        MachineState::Starting => "Booting",
        MachineState::Running => "On",
        MachineState::Paused => "Paused",
        MachineState::Stopping => "Stopping",
        MachineState::Stopped => "Stopped",
        MachineState::Crashed => "Crashed",
        MachineState::Panicked => "Panicked",
        MachineState::Failed => "Did not start",
    }
}

/// The state of an image that looks like that of its machine.
#[must_use]
pub fn state(machine: &Machine) -> &'static str {
    match machine.state {
        MachineState::Fetching => "arriving",
        MachineState::Running if !is_up(machine) => "booting",
        MachineState::Starting => "booting",
        MachineState::Running | MachineState::Paused | MachineState::Stopping => "running",
        MachineState::Stopped => "stopped",
        MachineState::Crashed | MachineState::Panicked | MachineState::Failed => "failed",
    }
}

#[must_use]
pub fn word(stage: BootStage) -> &'static str {
    match stage {
        BootStage::Fetching => "Fetching",
        BootStage::Verifying => "Verifying",
        BootStage::Mounting => "Mounting",
        BootStage::Starting => "Starting",
        BootStage::Loading => "Loading",
        BootStage::Kernel => "Kernel",
        BootStage::Ready => "Ready",
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::tests::machine;
    use super::*;
    use pixelrts_shared::machine::StageTime;

    #[test]
    fn only_a_stage_that_was_seen_to_begin_has_a_duration() {
        let (mut clock, mut list) = (StageClock::default(), MachineList::default());
        let mut see = |stage: &str, now| {
            let news = vec![machine("1", "00", "starting", Some(stage))];
            clock.observe(&list, &news, now);
            list.accept(news.clone());
            clock.elapsed(&news[0], now + 300)
        };
        assert_eq!(see("mounting", 1000), None);
        assert_eq!(see("starting", 2000), Some(300));
        assert_eq!(see("starting", 5000), Some(3300));
        assert_eq!(see("loading", 6000), Some(300));
    }

    #[test]
    fn a_machine_that_appears_later_is_measured_from_its_first_stage() {
        let mut clock = StageClock::default();
        clock.observe(&MachineList::default(), &[], 0);
        let news = machine("1", "00", "starting", Some("verifying"));
        clock.observe(&MachineList::default(), std::slice::from_ref(&news), 1000);
        assert_eq!(clock.elapsed(&news, 1200), Some(200));
    }

    #[test]
    fn stages_are_done_then_now_then_to_come() {
        let mut machine = machine("1", "00", "starting", Some("starting"));
        let names = [BootStage::Fetching, BootStage::Verifying, BootStage::Mounting, BootStage::Starting];
        machine.stages = names.map(|name| StageTime { name, ms: 7 }).to_vec();
        let found = progress(&machine);
        let expected = [
            (BootStage::Fetching, Progress::Done(7)),
            (BootStage::Verifying, Progress::Done(7)),
            (BootStage::Mounting, Progress::Done(7)),
            (BootStage::Starting, Progress::Now),
            (BootStage::Loading, Progress::ToCome),
            (BootStage::Kernel, Progress::ToCome),
        ];
        assert_eq!(found, expected);
    }
}
