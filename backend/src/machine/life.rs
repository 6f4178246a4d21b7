//! The life of a machine as its own process sees it: the pure half. Events go in, a [`Machine`] comes out.
//!
//! ```text
//!  Preparing ──▶ Running ⇄ Paused
//!      │            │  └──▶ Panicked (a short time for its last output)
//!      │         Stopping          │
//!      ▼            ▼              ▼
//!     Over: failed · stopped · crashed · panicked
//! ```
//! How it ended is decided when QEMU has ended, from everything that happened before. The fleet sees the same machine from
//! outside: `fleet::state`.

use std::time::Instant;

use pixelrts_shared::Problem;
use pixelrts_shared::machine::{Accel, BootStage, Machine, MachineState, StageTime};

use super::MachineError;
use super::qmp::Shutdown;

#[derive(Debug)]
pub(super) struct Life {
    machine: Machine,
    state: State,
    /// Why the guest no longer runs, as QEMU reported it.
    shutdown: Option<Shutdown>,
    born: Instant,
    stage_since: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// QEMU does not answer yet.
    Preparing,
    Running,
    Paused,
    /// A stop was requested.
    Stopping,
    Panicked {
        line: String,
    },
    Over,
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    /// Another step of the boot begins.
    Entered(BootStage),
    Mounted(String),
    /// QEMU was started.
    Started {
        pid: u32,
        accel: Accel,
        serial_socket: String,
    },
    /// QEMU answers: the machine runs.
    Answered,
    Paused,
    Resumed,
    /// The kernel has written so, or QEMU has reported it.
    Panicked {
        line: String,
    },
    StopRequested,
    Shutdown(Shutdown),
    /// QEMU ended: how, and the end of what it wrote to standard error.
    QemuEnded {
        how: String,
        output: String,
    },
    /// It could not be started.
    Failed(Problem),
}

impl Life {
    pub(super) fn new(machine: Machine, now: Instant) -> Self {
        Self { machine, state: State::Preparing, shutdown: None, born: now, stage_since: now }
    }

    pub(super) fn machine(&self, now: Instant) -> Machine {
        Machine { uptime_seconds: now.duration_since(self.born).as_secs(), ..self.machine.clone() }
    }

    /// A kernel runs that can react to the power button.
    pub(super) fn kernel_runs(&self) -> bool {
        self.state == State::Stopping && self.machine.stage >= Some(BootStage::Kernel)
    }

    pub(super) fn apply(&mut self, event: Event, now: Instant) {
        match event {
            _ if self.state == State::Over => {}
            Event::Entered(stage) if self.machine.stage < Some(stage) => self.enter(Some(stage), now),
            Event::Entered(_) => {}
            Event::Mounted(mountpoint) => self.machine.mountpoint = Some(mountpoint),
            Event::Started { pid, accel, serial_socket } => {
                self.machine.pid = Some(pid);
                self.machine.accel = Some(accel);
                self.machine.serial_socket = Some(serial_socket);
            }
            Event::Answered => {
                self.machine.success = true;
                if self.state == State::Preparing {
                    self.state = State::Running;
                }
            }
            Event::Paused if self.state == State::Running => self.state = State::Paused,
            Event::Resumed if self.state == State::Paused => self.state = State::Running,
            Event::Paused | Event::Resumed => {}
            // A guest may panic while it stops. The user asked for the stop, so that is what the user sees.
            Event::Panicked { line } if !matches!(self.state, State::Stopping | State::Panicked { .. }) => {
                self.state = State::Panicked { line };
            }
            Event::Panicked { .. } => {}
            Event::StopRequested if !matches!(self.state, State::Panicked { .. }) => self.state = State::Stopping,
            Event::StopRequested => {}
            Event::Shutdown(shutdown) => self.shutdown = Some(shutdown),
            Event::QemuEnded { how, output } => self.end(how, output, now),
            Event::Failed(problem) => self.over(MachineState::Failed, None, Some(problem), now),
        }
        self.machine.state = match self.state {
            State::Preparing => MachineState::Starting,
            State::Running => MachineState::Running,
            State::Paused => MachineState::Paused,
            State::Stopping => MachineState::Stopping,
            State::Panicked { .. } => MachineState::Panicked,
            State::Over => return,
        };
    }

    fn end(&mut self, how: String, output: String, now: Instant) {
        let guest = self.shutdown.as_ref().is_some_and(|shutdown| shutdown.guest);
        let reason = self.shutdown.as_ref().map_or("", |shutdown| shutdown.reason.as_str());
        let (state, ended, problem) = match &self.state {
            State::Panicked { line } => (MachineState::Panicked, None, Some(panic(line.clone()))),
            State::Stopping => (MachineState::Stopped, Some("stopped on request"), None),
            _ if reason == "guest-panic" => {
                (MachineState::Panicked, None, Some(panic("The guest reported the panic to QEMU.".to_owned())))
            }
            State::Preparing => (MachineState::Failed, None, Some(MachineError::QemuEnded { how, output }.into())),
            _ if guest && reason == "guest-reset" => (MachineState::Stopped, Some("ended by a reboot"), None),
            _ if guest => (MachineState::Stopped, Some("powered off by itself"), None),
            _ => {
                let how = if reason.is_empty() { how } else { format!("{how} ({reason})") };
                (MachineState::Crashed, None, Some(MachineError::QemuCrashed { how, output }.into()))
            }
        };
        self.over(state, ended, problem, now);
    }

    fn over(&mut self, state: MachineState, ended: Option<&str>, problem: Option<Problem>, now: Instant) {
        self.enter(None, now);
        self.state = State::Over;
        self.machine.state = state;
        self.machine.ended = ended.map(str::to_owned);
        self.machine.problem = problem;
    }

    fn enter(&mut self, stage: Option<BootStage>, now: Instant) {
        if let Some(name) = self.machine.stage {
            let ms = u64::try_from(now.duration_since(self.stage_since).as_millis()).unwrap_or(u64::MAX);
            self.machine.stages.push(StageTime { name, ms });
        }
        self.machine.stage = stage;
        self.stage_since = now;
    }
}

fn panic(line: String) -> Problem {
    MachineError::Panicked { line }.into()
}

#[cfg(test)]
mod tests;
