//! What an image is doing: one of eight words, decided in one place for the API and for the shell.
//!
//! The first row that fits decides:
//!
//! | what is known | status |
//! | --- | --- |
//! | a machine fetches its image, and a download of it waits for another try | `retrying` |
//! | a machine fetches its image, and a download of it is under way | `downloading` |
//! | a machine lives, and its guest has written to the console | `running` |
//! | a machine lives otherwise, or a boot was asked for and is not accepted yet | `booting` |
//! | a download waits for another try | `retrying` |
//! | a download is under way | `downloading` |
//! | the last attempt failed: a call was refused, the machine crashed, panicked or never ran, or the download failed and the image is not here | `error` |
//! | the image is not here, and the backend or every server that has it does not answer | `unavailable` |
//! | a machine of it has ended | `stopped` |
//! | none of these | `idle` |
//!
//! So a machine is not `running` before there is a console to open. One that is stopping or paused keeps the status it
//! had, because it can neither be booted again nor is it gone. A download is `retrying` only while it waits or
//! connects: once bytes come again, it is `downloading`. What can be done now outranks what has ended: an image that
//! cannot be had any more is `unavailable`, although its last machine stopped normally.

use serde::{Deserialize, Serialize};

use crate::catalog::Source;
use crate::download::{Download, DownloadStage};
use crate::machine::{BootStage, Machine, MachineState};
use crate::problem::Problem;
use crate::server::HealthState;

/// The eight states of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    #[default]
    Idle,
    Downloading,
    Booting,
    Running,
    Stopped,
    Retrying,
    Error,
    /// Not on this computer, and no server that has it answers.
    Unavailable,
}

impl Status {
    pub const ALL: [Self; 8] = [
        Self::Idle,
        Self::Downloading,
        Self::Booting,
        Self::Running,
        Self::Stopped,
        Self::Retrying,
        Self::Error,
        Self::Unavailable,
    ];

    /// As people read it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::Downloading => "Downloading",
            Self::Booting => "Booting",
            Self::Running => "Running",
            Self::Stopped => "Stopped",
            Self::Retrying => "Retrying",
            Self::Error => "Error",
            Self::Unavailable => "Unavailable",
        }
    }

    /// As programs read it: on the wire, and as the name of its glyph in the shell's style sheet.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Downloading => "downloading",
            Self::Booting => "booting",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Retrying => "retrying",
            Self::Error => "error",
            Self::Unavailable => "unavailable",
        }
    }
}

/// All that the status of an image depends on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The machine that counts, of those that were booted from the image: see [`machine_that_counts`].
    pub machine: Option<&'a Machine>,
    pub download: Option<&'a Download>,
    /// A boot was asked for and is not accepted yet. Only the shell knows of that.
    pub asked: bool,
    /// Why the last call about the image was refused. Only the shell knows of that.
    pub refused: Option<&'a Problem>,
    /// The whole image is on this computer.
    pub here: bool,
    /// A server that has it may answer: see [`is_offered`].
    pub offered: bool,
    /// The backend answers; it always does for itself.
    pub reachable: bool,
}

/// The status, with what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decided<'a> {
    Idle,
    Downloading(&'a Download),
    /// Without a machine: it was asked for, and is not accepted yet.
    Booting(Option<&'a Machine>),
    Running(&'a Machine),
    Stopped(&'a Machine),
    Retrying(&'a Download),
    /// Why, if anybody said it.
    Error(Option<&'a Problem>),
    Unavailable,
}

impl Decided<'_> {
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Idle => Status::Idle,
            Self::Downloading(_) => Status::Downloading,
            Self::Booting(_) => Status::Booting,
            Self::Running(_) => Status::Running,
            Self::Stopped(_) => Status::Stopped,
            Self::Retrying(_) => Status::Retrying,
            Self::Error(_) => Status::Error,
            Self::Unavailable => Status::Unavailable,
        }
    }
}

/// The rule: see the table above.
#[must_use]
pub fn decide<'a>(facts: &Facts<'a>) -> Decided<'a> {
    let Facts { machine, download, asked, refused, here, offered, reachable } = *facts;
    let under_way = download.filter(|download| !download.stage.is_over());
    let (lives, ended) = match machine {
        Some(machine) if machine.state.is_over() => (None, Some(machine)),
        machine => (machine, None),
    };
    if let Some(machine) = lives {
        return match under_way {
            Some(download) if machine.state == MachineState::Fetching => fetching(download),
            _ if is_up(machine) => Decided::Running(machine),
            _ => Decided::Booting(Some(machine)),
        };
    }
    if asked {
        return Decided::Booting(None);
    }
    if let Some(download) = under_way {
        return fetching(download);
    }
    if refused.is_some() {
        return Decided::Error(refused);
    }
    if let Some(machine) = ended.filter(|machine| machine.state != MachineState::Stopped) {
        return Decided::Error(machine.problem.as_ref());
    }
    if let Some(download) = download.filter(|download| download.stage == DownloadStage::Failed && !here) {
        return Decided::Error(download.problem.as_ref());
    }
    let can_be_had = here || (reachable && offered);
    if !can_be_had {
        return Decided::Unavailable;
    }
    ended.map_or(Decided::Idle, Decided::Stopped)
}

/// The status of a machine by itself, as its window shows it: that of its image if nothing else were known.
#[must_use]
pub fn of_machine(machine: &Machine) -> Status {
    let machine = Some(machine);
    let facts =
        Facts { machine, download: None, asked: false, refused: None, here: true, offered: false, reachable: true };
    decide(&facts).status()
}

/// The status of a download by itself, as its line shows it: that of its image if nothing else were known.
#[must_use]
pub fn of_download(download: &Download) -> Status {
    let here = download.stage == DownloadStage::Cached;
    let download = Some(download);
    let facts = Facts { machine: None, download, asked: false, refused: None, here, offered: true, reachable: true };
    decide(&facts).status()
}

/// The guest has written to its console: there is something to open.
#[must_use]
pub fn is_up(machine: &Machine) -> bool {
    !machine.state.is_over()
        && machine.state != MachineState::Fetching
        && machine.stage.is_some_and(|stage| stage >= BootStage::Kernel)
}

/// Of the machines of one image, in the order in which they were started: the last one that lives, else the last one.
#[must_use]
pub fn machine_that_counts<'a>(machines: impl DoubleEndedIterator<Item = &'a Machine> + Clone) -> Option<&'a Machine> {
    machines.clone().rfind(|machine| !machine.state.is_over()).or_else(|| machines.last())
}

fn fetching(download: &Download) -> Decided<'_> {
    let waits = matches!(download.stage, DownloadStage::Queued | DownloadStage::Connecting);
    if waits && download.attempt > 1 { Decided::Retrying(download) } else { Decided::Downloading(download) }
}

/// Whether one of the sources may answer: also a server that was not asked yet.
#[must_use]
pub fn is_offered(sources: &[Source]) -> bool {
    sources.iter().any(|source| source.health.state != HealthState::Down)
}

#[cfg(test)]
mod tests;
