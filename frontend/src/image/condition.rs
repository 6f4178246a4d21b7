//! What an image is doing: one of eight conditions, derived from everything that is known about it.
//!
//! A machine that is not over outranks a download, a download outranks what has ended, and what has ended outranks the
//! catalog.

use pixelrts_shared::catalog::{MergedEntry, Status};
use pixelrts_shared::download::{Download, DownloadStage};
use pixelrts_shared::machine::{Machine, MachineState};
use pixelrts_shared::server::HealthState;
use pixelrts_shared::{Problem, ServerId};

use crate::machines::list::has_console;

/// What is known about an image.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub entry: &'a MergedEntry,
    /// The one that is not over, else the one that ended last.
    pub machine: Option<&'a Machine>,
    pub download: Option<&'a Download>,
    /// Why the last attempt of this page failed.
    pub failure: Option<&'a Problem>,
    /// A boot was requested in this page and is not accepted yet.
    pub boot_requested: bool,
    /// The backend answers.
    pub reachable: bool,
}

/// A server to fetch from instead of the one that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherServer {
    pub id: ServerId,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    Idle,
    Downloading(Download),
    /// Without a machine: requested, not accepted yet.
    Booting(Option<Machine>),
    Running(Machine),
    Stopped(Machine),
    /// The download goes on by itself, from where it was.
    Retrying(Download),
    /// Why, and another server that has the image, where that may help.
    Error(Problem, Option<OtherServer>),
    /// Why it cannot be fetched now.
    Unavailable(String),
}

impl Condition {
    #[must_use]
    pub fn of(known: Known<'_>) -> Self {
        if let Some(machine) = known.machine.filter(|machine| !machine.state.is_over()) {
            return match (machine.state, known.download.filter(|download| !download.stage.is_over())) {
                (MachineState::Fetching, Some(download)) => fetching(download),
                _ if has_console(machine) => Self::Running(machine.clone()),
                _ => Self::Booting(Some(machine.clone())),
            };
        }
        if known.boot_requested {
            return Self::Booting(None);
        }
        if let Some(download) = known.download.filter(|download| !download.stage.is_over()) {
            return fetching(download);
        }
        let failed = known.download.filter(|download| download.stage == DownloadStage::Failed && !known.entry.cached);
        let problem = known.failure.or(known.machine.and_then(|machine| machine.problem.as_ref()));
        if let Some(problem) = problem.or(failed.and_then(|download| download.problem.as_ref())) {
            return Self::Error(problem.clone(), other_server(known.entry, failed));
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
}

fn fetching(download: &Download) -> Condition {
    let waits = matches!(download.stage, DownloadStage::Queued | DownloadStage::Connecting);
    if download.attempt > 1 && waits || download.problem.is_some() {
        Condition::Retrying(download.clone())
    } else {
        Condition::Downloading(download.clone())
    }
}

/// A server that has the image too and may answer, other than the one that failed.
fn other_server(entry: &MergedEntry, failed: Option<&Download>) -> Option<OtherServer> {
    let failed = failed?.source.as_ref()?;
    let may_answer = |state| state != HealthState::Down;
    let other = entry.sources.iter().find(|source| source.server != *failed && may_answer(source.health.state))?;
    Some(OtherServer { id: other.server.clone(), name: other.name.clone() })
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
pub(crate) mod tests;
