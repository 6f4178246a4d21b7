//! What the fleet publishes of a machine: how each change looks to those who see the machine in the list.

use std::time::Duration;

use pixelrts_shared::machine::{BootStage, Machine, MachineState, StageTime};
use pixelrts_shared::{Digest, Problem};

use super::super::MachineError;
use super::deadlines::{ANSWER_WITHIN, END_WITHIN, SILENT_AFTER};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// The image is on this computer.
    Fetched {
        key: Digest,
        took: Duration,
    },
    /// The image is requested once more.
    FetchesAgain,
    /// The machine as its process sees it.
    Reported(Box<Machine>),
    /// The process has stopped reporting.
    Silent,
    /// The process reports again.
    Heard,
    /// The process was killed and has not ended.
    Stuck,
    Over(End),
}

/// How a machine ended, when its process could not report it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// On request, before its process owned a machine.
    Stopped,
    /// On request, but by force.
    Killed,
    /// Its process ended after the request without a last report.
    EndedWhileStopping,
    /// Its process ended without a request.
    Died,
    /// Its process was started and did not answer.
    NeverAnswered,
    /// It could not be started.
    Failed(Problem),
}

/// The last change of a machine.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct End {
    pub(super) state: MachineState,
    /// How it ended, or the problem that ended it.
    pub(super) how: Result<&'static str, Problem>,
}

impl Outcome {
    /// `log`: the end of what the process printed.
    pub(super) fn with_log(self, log: &str) -> End {
        let stopped = |how| End { state: MachineState::Stopped, how: Ok(how) };
        let failed = |state, problem: Problem| End { state, how: Err(problem) };
        match self {
            Self::Stopped => stopped("stopped on request"),
            Self::Killed => stopped("killed on request, because it did not stop"),
            Self::EndedWhileStopping => stopped("stopped on request; its process did not report how"),
            Self::Died => failed(MachineState::Crashed, MachineError::ProcessDied { log: log.to_owned() }.into()),
            Self::NeverAnswered => {
                let slow =
                    MachineError::Slow { step: "Starting the machine's process", seconds: ANSWER_WITHIN.as_secs() };
                failed(MachineState::Failed, slow.into())
            }
            Self::Failed(problem) => failed(MachineState::Failed, problem),
        }
    }
}

impl Change {
    /// Nothing is published after it.
    pub(super) fn is_last(&self) -> bool {
        match self {
            Self::Reported(machine) => machine.state.is_over(),
            Self::Over(_) => true,
            Self::Fetched { .. } | Self::FetchesAgain | Self::Silent | Self::Heard | Self::Stuck => false,
        }
    }

    pub(super) fn apply(self, machine: &mut Machine) {
        match self {
            Self::Fetched { key, took } => {
                let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                machine.key = key;
                machine.state = MachineState::Starting;
                machine.stage = None;
                machine.stages = vec![StageTime { name: BootStage::Fetching, ms }];
            }
            Self::FetchesAgain => {
                machine.state = MachineState::Fetching;
                machine.stage = Some(BootStage::Fetching);
                machine.problem = None;
            }
            Self::Reported(reported) => {
                // The fleet fetched the image; the process does not know how long that took.
                let fetched = machine.stages.iter().filter(|stage| stage.name == BootStage::Fetching);
                let stages = fetched.chain(&reported.stages).copied().collect();
                *machine = Machine { stages, ..*reported };
            }
            Self::Silent => {
                machine.problem = Some(MachineError::ProcessSilent { seconds: SILENT_AFTER.as_secs() }.into())
            }
            Self::Heard => machine.problem = None,
            Self::Stuck => machine.problem = Some(MachineError::ProcessStuck { seconds: END_WITHIN.as_secs() }.into()),
            Self::Over(End { state, how }) => {
                machine.state = state;
                machine.stage = None;
                machine.ended = how.as_ref().ok().map(|how| (*how).to_owned());
                machine.problem = how.err();
            }
        }
    }
}
