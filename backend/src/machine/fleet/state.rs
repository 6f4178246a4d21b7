//! What the fleet does about one machine: the pure half. Events go in, effects come out; [`super::machine_task`] performs them.
//!
//! ```text
//!            ┌──────────────── wrong bytes, the first time ─────────────────┐
//!            ▼                                                              │
//!  launch ▶ Fetching ──▶ Starting ──▶ Following ⇄ Silent                    │
//!            │              │   adopt ▶ │    │       │                      │
//!            │              │           │    ▼       │                      │
//!            │              │           │ Stopping   │                      │
//!            │              ▼           ▼    ▼       ▼                      │
//!            │            Ending: the process ends, or is killed ───────────┘
//!            ▼              │
//!          Over ◀───────────┘
//! ```
//! Each state holds what it alone needs, such as its deadline: a deadline ends with its state. There is a process from
//! `Starting` to `Ending`, and every state after `Ending` begins when the process has ended. So there are never two
//! processes for one machine.
//!
//! A stop is a request to the process first. It has [`STOP_WITHIN`] for its own ladder (power button, quit, SIGKILL for
//! QEMU), then it is killed itself. A process that hangs would not read the request: it is killed at once.
//!
//! What comes after a process has ended is decided by [`Then`]; a restart after a crash would be another value of it.

use std::time::{Duration, Instant};

use pixelrts_shared::Problem;
use pixelrts_shared::machine::Machine;

use super::super::attempt::Attempt;
use super::Fetched;
use super::change::{Change, Outcome};
use super::deadlines::{ANSWER_WITHIN, END_WITHIN, LEAVE_WITHIN, SILENT_AFTER, STOP_WITHIN};

/// Where the fleet is with a machine.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// The image is being supplied. There is no process.
    Fetching { attempt: Attempt, since: Instant },
    /// The process was started and has not answered yet.
    Starting { attempt: Attempt, kill_at: Instant },
    /// The process reports what its machine does.
    Following { attempt: Attempt, silent_at: Instant },
    /// The process is connected and reports nothing: it hangs.
    Silent { attempt: Attempt },
    /// The process was requested to stop its machine.
    Stopping { silent_at: Instant, kill_at: Instant },
    /// Nothing is expected of the process any more but its end.
    Ending { then: Then, patience: Patience },
    /// There is no process, and there will be none.
    Over,
}

/// What follows when the process has ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Then {
    /// The end of the machine is published already.
    Nothing,
    Publish(Outcome),
    /// The image is requested once more, with this problem.
    FetchAgain(Problem),
}

/// How the end of the process is waited for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Patience {
    /// It should end by itself.
    KillAt(Instant),
    Killed {
        stuck_at: Instant,
    },
    /// It was killed and has not ended: it hangs in the kernel.
    Stuck,
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    /// The answer to [`Effect::RequestImage`].
    Image(Result<Fetched, Problem>),
    /// The answer to [`Effect::Start`]: the process is connected, or why not.
    Started(Result<(), Problem>),
    /// The process lives and nothing has changed.
    Alive,
    /// The process reports its machine.
    Reported(Box<Machine>),
    /// The process has closed its connection, or it broke.
    Disconnected,
    /// The answer to [`Effect::AwaitEnd`]: the process and its QEMU have released everything. With the end of its log.
    Ended {
        log: String,
    },
    StopRequested,
    /// The time of [`State::deadline`] has come.
    DeadlinePassed,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    /// Requests the image; with the problem, when the first file had one.
    RequestImage(Option<Problem>),
    /// Starts a process with this image.
    Start(Fetched),
    /// Asks the process to stop its machine; asked again, it hurries.
    SendStop,
    /// Kills the process, and QEMU with it.
    Kill,
    /// Waits for the end of the process and of its QEMU.
    AwaitEnd,
    Publish(Change),
}

impl State {
    /// A new machine. Its first effect is a request for the image.
    pub(super) fn launched(now: Instant) -> (Self, Vec<Effect>) {
        let state = Self::Fetching { attempt: Attempt::First, since: now };
        (state, vec![Effect::RequestImage(None)])
    }

    /// A machine that another backend started. Nobody here can supply its image.
    pub(super) fn adopted(now: Instant) -> Self {
        Self::Following { attempt: Attempt::Last, silent_at: now + SILENT_AFTER }
    }

    /// When [`Event::DeadlinePassed`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match *self {
            Self::Starting { kill_at, .. } => Some(kill_at),
            Self::Following { silent_at, .. } => Some(silent_at),
            Self::Stopping { silent_at, kill_at } => Some(silent_at.min(kill_at)),
            Self::Ending { patience: Patience::KillAt(kill_at), .. } => Some(kill_at),
            Self::Ending { patience: Patience::Killed { stuck_at }, .. } => Some(stuck_at),
            Self::Ending { patience: Patience::Stuck, .. } => None,
            // Whoever supplies the image has deadlines of its own.
            Self::Fetching { .. } | Self::Silent { .. } | Self::Over => None,
        }
    }

    pub(super) fn step(self, event: Event, now: Instant) -> (Self, Vec<Effect>) {
        match (self, event) {
            (Self::Fetching { attempt, since }, Event::Image(Ok(image))) => {
                let fetched = Change::Fetched { key: image.key, took: now - since };
                let state = Self::Starting { attempt, kill_at: now + ANSWER_WITHIN };
                (state, vec![Effect::Publish(fetched), Effect::Start(image)])
            }
            (Self::Fetching { .. }, Event::Image(Err(problem))) => over(Outcome::Failed(problem), ""),
            (Self::Fetching { .. }, Event::StopRequested) => over(Outcome::Stopped, ""),

            (Self::Starting { attempt, .. }, Event::Started(Ok(()))) => {
                (Self::Following { attempt, silent_at: now + SILENT_AFTER }, vec![])
            }
            (Self::Starting { .. }, Event::Started(Err(problem))) => kill(Outcome::Failed(problem), now),
            (Self::Starting { .. }, Event::DeadlinePassed) => kill(Outcome::NeverAnswered, now),
            // Its machine has not begun, so there is nothing to stop in order.
            (Self::Starting { .. }, Event::StopRequested) => kill(Outcome::Stopped, now),

            (Self::Following { attempt, .. }, Event::Alive) => {
                (Self::Following { attempt, silent_at: now + SILENT_AFTER }, vec![])
            }
            (Self::Silent { attempt }, Event::Alive) => {
                (Self::Following { attempt, silent_at: now + SILENT_AFTER }, vec![Effect::Publish(Change::Heard)])
            }
            (Self::Following { attempt, .. } | Self::Silent { attempt }, Event::Reported(machine)) => {
                match attempt.retry(&machine, false) {
                    Some(problem) => wait(Then::FetchAgain(problem), END_WITHIN, vec![], now),
                    None => reported(machine, Self::Following { attempt, silent_at: now + SILENT_AFTER }, now),
                }
            }
            (Self::Following { .. } | Self::Silent { .. }, Event::Disconnected) => {
                wait(Then::Publish(Outcome::Died), END_WITHIN, vec![], now)
            }
            (Self::Following { attempt, .. }, Event::DeadlinePassed) => {
                (Self::Silent { attempt }, vec![Effect::Publish(Change::Silent)])
            }
            (Self::Following { silent_at, .. }, Event::StopRequested) => {
                (Self::Stopping { silent_at, kill_at: now + STOP_WITHIN }, vec![Effect::SendStop])
            }
            (Self::Silent { .. }, Event::StopRequested) => kill(Outcome::Killed, now),

            (Self::Stopping { kill_at, .. }, Event::Alive) => {
                (Self::Stopping { silent_at: now + SILENT_AFTER, kill_at }, vec![])
            }
            (Self::Stopping { kill_at, .. }, Event::Reported(machine)) => {
                reported(machine, Self::Stopping { silent_at: now + SILENT_AFTER, kill_at }, now)
            }
            (Self::Stopping { .. }, Event::Disconnected) => {
                wait(Then::Publish(Outcome::EndedWhileStopping), END_WITHIN, vec![], now)
            }
            (Self::Stopping { .. }, Event::DeadlinePassed) => kill(Outcome::Killed, now),
            (stopping @ Self::Stopping { .. }, Event::StopRequested) => (stopping, vec![Effect::SendStop]),

            (Self::Ending { then, .. }, Event::Ended { log }) => ended(then, &log, now),
            (Self::Ending { then, patience: Patience::KillAt(_) }, Event::DeadlinePassed) => {
                let patience = Patience::Killed { stuck_at: now + END_WITHIN };
                (Self::Ending { then, patience }, vec![Effect::Kill])
            }
            (Self::Ending { then, patience: Patience::Killed { .. } }, Event::DeadlinePassed) => {
                let publish = (then != Then::Nothing).then_some(Effect::Publish(Change::Stuck));
                (Self::Ending { then, patience: Patience::Stuck }, publish.into_iter().collect())
            }
            (Self::Ending { then: Then::FetchAgain(_), patience }, Event::StopRequested) => {
                (Self::Ending { then: Then::Publish(Outcome::Stopped), patience }, vec![])
            }

            // A stop changes nothing when the process ends already, and an answer may arrive when it is not needed any more.
            (state, _) => (state, vec![]),
        }
    }
}

/// The process has reported its machine; it goes on in `state`, unless the machine is over.
fn reported(machine: Box<Machine>, state: State, now: Instant) -> (State, Vec<Effect>) {
    let is_over = machine.state.is_over();
    let publish = vec![Effect::Publish(Change::Reported(machine))];
    if is_over { wait(Then::Nothing, LEAVE_WITHIN, publish, now) } else { (state, publish) }
}

/// The process should end by itself.
fn wait(then: Then, limit: Duration, mut effects: Vec<Effect>, now: Instant) -> (State, Vec<Effect>) {
    effects.push(Effect::AwaitEnd);
    (State::Ending { then, patience: Patience::KillAt(now + limit) }, effects)
}

fn kill(outcome: Outcome, now: Instant) -> (State, Vec<Effect>) {
    let patience = Patience::Killed { stuck_at: now + END_WITHIN };
    (State::Ending { then: Then::Publish(outcome), patience }, vec![Effect::Kill, Effect::AwaitEnd])
}

fn ended(then: Then, log: &str, now: Instant) -> (State, Vec<Effect>) {
    match then {
        Then::Nothing => (State::Over, vec![]),
        Then::Publish(outcome) => over(outcome, log),
        Then::FetchAgain(problem) => {
            let state = State::Fetching { attempt: Attempt::Last, since: now };
            (state, vec![Effect::Publish(Change::FetchesAgain), Effect::RequestImage(Some(problem))])
        }
    }
}

fn over(outcome: Outcome, log: &str) -> (State, Vec<Effect>) {
    (State::Over, vec![Effect::Publish(Change::Over(outcome.with_log(log)))])
}

#[cfg(test)]
mod tests;
