//! A machine in one line.

use pixelrts_shared::machine::{AccelKind, Machine, MachineState};

use super::list::Counts;
use crate::words;

/// `Up 12 min, KVM, 2 GiB`, or how it ended: `Powered off by itself.`
#[must_use]
pub fn summary(machine: &Machine, uptime_seconds: u64) -> String {
    let accel = machine.accel.as_ref().map(|accel| match accel.used {
        AccelKind::Kvm => "KVM",
        AccelKind::Tcg => "emulated",
    });
    let memory = words::memory(machine.memory);
    let state = match machine.state {
        state if state.is_over() => {
            let how = machine.ended.as_deref().map(words::sentence);
            let problem = machine.problem.as_ref().map(|problem| words::closed(&problem.what));
            return how.or(problem).unwrap_or_else(|| unexplained(state).to_owned());
        }
        MachineState::Paused => "Paused".to_owned(),
        MachineState::Stopping => "Stopping".to_owned(),
        _ => format!("Up {}", words::span(uptime_seconds)),
    };
    [Some(state.as_str()), accel, Some(&memory)].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// How a machine has ended that does not say so itself.
fn unexplained(state: MachineState) -> &'static str {
    match state {
        MachineState::Panicked => "The guest's kernel panicked.",
        MachineState::Crashed => "It ended unexpectedly.",
        MachineState::Failed => "It never ran.",
        _ => "Ended.",
    }
}

/// For the foot of the page: `1 running, 2 booting`.
#[must_use]
pub fn counted(counts: Counts) -> String {
    match (counts.running, counts.booting) {
        (0, 0) => "No machine is running".to_owned(),
        (running, 0) => format!("{running} running"),
        (0, booting) => format!("{booting} booting"),
        (running, booting) => format!("{running} running, {booting} booting"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::tests::machine;
    use super::*;
    use pixelrts_shared::machine::Accel;

    #[test]
    fn a_machine_says_how_long_it_is_up_or_how_it_ended() {
        let mut machine = machine("1", "00", "running", Some("kernel"));
        assert_eq!(summary(&machine, 725), "Up 12\u{a0}min, 2\u{a0}GiB");
        machine.accel = Some(Accel { used: AccelKind::Tcg, reason: "no /dev/kvm".to_owned() });
        machine.state = MachineState::Stopping;
        assert_eq!(summary(&machine, 725), "Stopping, emulated, 2\u{a0}GiB");
        machine.state = MachineState::Stopped;
        assert_eq!(summary(&machine, 725), "Ended.");
        machine.state = MachineState::Panicked;
        assert_eq!(summary(&machine, 725), "The guest's kernel panicked.");
        machine.state = MachineState::Stopped;
        machine.ended = Some("powered off by itself".to_owned());
        assert_eq!(summary(&machine, 725), "Powered off by itself.");
    }

    #[test]
    fn only_what_there_is_is_counted() {
        let said = [(0, 0), (2, 0), (0, 3), (2, 3)].map(|(running, booting)| counted(Counts { running, booting }));
        assert_eq!(said, ["No machine is running", "2 running", "3 booting", "2 running, 3 booting"]);
    }
}
