//! What an object shows: one of eight conditions, derived from everything that is known about its image.
//!
//! A machine that lives outranks a download, a download outranks what ended, and what ended outranks the catalog.

use pixelrts_shared::catalog::{MergedEntry, Status};
use pixelrts_shared::download::{Download, DownloadStage};
use pixelrts_shared::machine::{BootStage, Machine, MachineState};
use pixelrts_shared::server::HealthState;
use pixelrts_shared::{Problem, ServerId};

/// What is known about an image.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub entry: &'a MergedEntry,
    /// The one that lives, else the one that ended last.
    pub machine: Option<&'a Machine>,
    pub download: Option<&'a Download>,
    /// What a click in this page led to.
    pub problem: Option<&'a Problem>,
    /// A boot was asked for in this page and is not accepted yet.
    pub asked: bool,
    /// The backend answers.
    pub reachable: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    Idle,
    Downloading(Download),
    /// Without a machine: asked for, not accepted yet.
    Booting(Option<Machine>),
    Running(Machine),
    Stopped(Machine),
    /// The download goes on by itself, from where it was.
    Retrying(Download),
    /// Why, and the server to fetch from instead, where there is one.
    Error(Problem, Option<(ServerId, String)>),
    /// Why it cannot be had now.
    Unavailable(String),
}

/// What the one button of an object does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Boot,
    BootFrom(ServerId, String),
    Retry,
    Cancel,
    Stop,
    Open,
}

impl Condition {
    #[must_use]
    pub fn of(known: Known<'_>) -> Self {
        if let Some(machine) = known.machine.filter(|machine| !machine.state.is_over()) {
            return match (machine.state, known.download.filter(|download| !download.stage.is_over())) {
                (MachineState::Fetching, Some(download)) => fetching(download),
                _ if is_up(machine) => Self::Running(machine.clone()),
                _ => Self::Booting(Some(machine.clone())),
            };
        }
        if known.asked {
            return Self::Booting(None);
        }
        if let Some(download) = known.download.filter(|download| !download.stage.is_over()) {
            return fetching(download);
        }
        let failed = known.download.filter(|download| download.stage == DownloadStage::Failed && !known.entry.cached);
        let problem = known.problem.or(known.machine.and_then(|machine| machine.problem.as_ref()));
        if let Some(problem) = problem.or(failed.and_then(|download| download.problem.as_ref())) {
            return Self::Error(problem.clone(), other_source(known.entry, failed));
        }
        if let Some(why) = missing(known.entry, known.reachable) {
            return Self::Unavailable(why);
        }
        match known.machine {
            Some(machine) => Self::Stopped(machine.clone()),
            None => Self::Idle,
        }
    }

    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Idle => Status::Idle,
            Self::Downloading(_) => Status::Downloading,
            Self::Booting(_) => Status::Booting,
            Self::Running(_) => Status::Running,
            Self::Stopped(_) => Status::Stopped,
            Self::Retrying(_) => Status::Retrying,
            Self::Error(..) => Status::Error,
            Self::Unavailable(_) => Status::Unavailable,
        }
    }

    /// The one button; none where it could do nothing.
    #[must_use]
    pub fn act(&self, reachable: bool) -> Option<Act> {
        if !reachable {
            return None;
        }
        match self {
            Self::Idle | Self::Stopped(_) => Some(Act::Boot),
            Self::Downloading(_) | Self::Retrying(_) => Some(Act::Cancel),
            Self::Booting(machine) => machine.as_ref().map(|_| Act::Stop),
            Self::Running(_) => Some(Act::Open),
            Self::Error(_, Some((server, name))) => Some(Act::BootFrom(server.clone(), name.clone())),
            Self::Error(_, None) => Some(Act::Retry),
            Self::Unavailable(_) => None,
        }
    }
}

impl Act {
    /// What Enter and a double click may do: they begin something, they never end it.
    #[must_use]
    pub fn begins(&self) -> bool {
        !matches!(self, Self::Cancel | Self::Stop)
    }

    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Boot => "Boot".to_owned(),
            Self::BootFrom(_, name) => format!("Use {name}"),
            Self::Retry => "Retry".to_owned(),
            Self::Cancel => "Cancel, keep what is here".to_owned(),
            Self::Stop => "Stop".to_owned(),
            Self::Open => "Open".to_owned(),
        }
    }
}

/// A status as a person reads it.
#[must_use]
pub fn word(status: Status) -> &'static str {
    match status {
        Status::Idle => "Idle",
        Status::Downloading => "Downloading",
        Status::Booting => "Booting",
        Status::Running => "Running",
        Status::Stopped => "Stopped",
        Status::Retrying => "Retrying",
        Status::Error => "Error",
        Status::Unavailable => "Unavailable",
    }
}

/// A stage as a person reads it.
#[must_use]
pub fn stage_word(stage: BootStage) -> &'static str {
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

/// The guest writes to its console: there is something to open.
#[must_use]
pub fn is_up(machine: &Machine) -> bool {
    !machine.state.is_over()
        && machine.state != MachineState::Fetching
        && machine.stage.is_some_and(|stage| stage >= BootStage::Kernel)
}

fn fetching(download: &Download) -> Condition {
    let waits = matches!(download.stage, DownloadStage::Queued | DownloadStage::Connecting);
    if download.attempt > 1 && waits || download.problem.is_some() {
        Condition::Retrying(download.clone())
    } else {
        Condition::Downloading(download.clone())
    }
}

/// A server that has it too, other than the one that failed.
fn other_source(entry: &MergedEntry, failed: Option<&Download>) -> Option<(ServerId, String)> {
    let failed = failed?.source.as_ref()?;
    let answers = |state| state != HealthState::Down;
    let other = entry.sources.iter().find(|source| source.server != *failed && answers(source.health.state))?;
    Some((other.server.clone(), other.name.clone()))
}

fn missing(entry: &MergedEntry, reachable: bool) -> Option<String> {
    if entry.cached {
        return None;
    }
    if !reachable {
        return Some("The backend is not running.".to_owned());
    }
    let down = |state| state == HealthState::Down;
    if entry.status != Status::Unavailable && !entry.sources.iter().all(|source| down(source.health.state)) {
        return None;
    }
    let names: Vec<_> = entry.sources.iter().map(|source| source.name.as_str()).collect();
    Some(match names.as_slice() {
        [] => "No server offers it any more.".to_owned(),
        [name] => format!("Its only server, {name}, does not answer."),
        names => format!("None of its servers answers: {}.", names.join(", ")),
    })
}

#[cfg(test)]
mod tests;
