//! What an image is doing: one of eight conditions, each with the data that a view shows with it. The rule that decides
//! which one it is, is in `pixelrts_shared::image_status`.

use pixelrts_shared::catalog::{MergedEntry, Source};
use pixelrts_shared::download::{Download, DownloadStage};
use pixelrts_shared::image_status::{self, Decided, Facts, Status};
use pixelrts_shared::machine::{Machine, MachineState};
use pixelrts_shared::server::HealthState;
use pixelrts_shared::{Problem, ProblemCode, ServerId};

/// What is known about an image.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub entry: &'a MergedEntry,
    /// The machine that decides what the image shows.
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
        let Known { entry, machine, download, failure, boot_requested, reachable } = known;
        let facts = Facts {
            machine,
            download,
            asked: boot_requested,
            refused: failure,
            here: entry.cached,
            offered: image_status::is_offered(&entry.sources),
            reachable,
        };
        match image_status::decide(&facts) {
            Decided::Idle => Self::Idle,
            Decided::Downloading(download) => Self::Downloading(download.clone()),
            Decided::Booting(machine) => Self::Booting(machine.cloned()),
            Decided::Running(machine) => Self::Running(machine.clone()),
            Decided::Stopped(machine) => Self::Stopped(machine.clone()),
            Decided::Retrying(download) => Self::Retrying(download.clone()),
            Decided::Error(problem) => {
                let failed = download.filter(|download| download.stage == DownloadStage::Failed && !entry.cached);
                Self::Error(problem.cloned().unwrap_or_else(|| unexplained(machine)), other_server(entry, failed))
            }
            Decided::Unavailable => Self::Unavailable(missing(&entry.sources, reachable)),
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

/// A server that has the image too and may answer, other than the one that failed.
fn other_server(entry: &MergedEntry, failed: Option<&Download>) -> Option<OtherServer> {
    let failed = failed?.source.as_ref()?;
    let may_answer = |state| state != HealthState::Down;
    let other = entry.sources.iter().find(|source| source.server != *failed && may_answer(source.health.state))?;
    Some(OtherServer { id: other.server.clone(), name: other.name.to_string() })
}

/// Why an image cannot be fetched now.
fn missing(sources: &[Source], reachable: bool) -> String {
    if !reachable {
        return "The backend does not answer.".to_owned();
    }
    let names: Vec<_> = sources.iter().map(|source| source.name.as_str()).collect();
    match names.as_slice() {
        [] => "No server offers it any more.".to_owned(),
        [name] => format!("Its only server, {name}, does not answer."),
        names => format!("None of its servers answers: {}.", names.join(", ")),
    }
}

/// For a failure that came without a reason, as that of a machine that is still writing its last output.
fn unexplained(machine: Option<&Machine>) -> Problem {
    let code = match machine.map(|machine| machine.state) {
        Some(MachineState::Panicked) => ProblemCode::MachinePanicked,
        Some(MachineState::Failed) => ProblemCode::MachineFailed,
        _ => ProblemCode::MachineCrashed,
    };
    Problem::new(code, format!("{}.", code.title()), code.why(), code.fix())
}

#[cfg(test)]
pub(crate) mod tests;
