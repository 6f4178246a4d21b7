//! What the phase itself can fail at, and what a person reads then.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use nix::unistd::Uid;
use pixelrts_shared::{Problem, ProblemCode};

use crate::report::shell_word;

#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    #[error("{path}: {error}")]
    Directory { path: PathBuf, error: io::Error },
    #[error("{path} belongs to user {found}, not to {expected}")]
    Owner { path: PathBuf, expected: Uid, found: u32 },
    #[error("{path} is not a directory")]
    NotADirectory { path: PathBuf },
    #[error("{path}: {error}")]
    File { path: PathBuf, error: io::Error },
    /// The user named this folder of images.
    #[error("{path} is not there")]
    FolderMissing { path: PathBuf },
    #[error("there is no program {file}")]
    ProgramMissing { title: &'static str, file: String, package: &'static str },
    #[error("{least} or newer is required, detected {found}")]
    ProgramOld { title: &'static str, package: &'static str, least: String, found: String },
    #[error("{path} --version does not print it")]
    ProgramSilent { title: &'static str, path: PathBuf, package: &'static str },
    /// Within its part of the phase.
    #[error("the step {handler} of the preparation was not finished within {} s", part.as_secs_f64())]
    Overdue { handler: &'static str, part: Duration },
    #[error("{}", no_server(*servers))]
    NoServer { servers: usize },
}

fn no_server(servers: usize) -> String {
    match servers {
        1 => "the only server takes no connection".to_owned(),
        2 => "neither of the two servers takes a connection".to_owned(),
        many => format!("none of the {many} servers takes a connection"),
    }
}

/// All of these directories can be moved in this way.
const ELSEWHERE: &str = "choose another place with XDG_CACHE_HOME, XDG_STATE_HOME or XDG_RUNTIME_DIR.";

impl From<BootstrapError> for Problem {
    fn from(error: BootstrapError) -> Self {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, StorageFull};
        let why = error.to_string();
        match error {
            BootstrapError::Directory { path, error } => {
                let path = path.display();
                match error.kind() {
                    PermissionDenied | ReadOnlyFilesystem => Self::new(
                        ProblemCode::PermissionDenied,
                        format!("{path} cannot be written to."),
                        why,
                        format!("Make it writable for this user, or {ELSEWHERE}"),
                    ),
                    StorageFull => Self::new(
                        ProblemCode::StorageFull,
                        format!("{path} cannot be made."),
                        why,
                        "Free some space on that disk, then try again.",
                    ),
                    _ => Self::new(
                        ProblemCode::StorageFailed,
                        format!("{path} cannot be used as a directory."),
                        why,
                        format!("Remove what is in its way, or {ELSEWHERE}"),
                    ),
                }
            }
            BootstrapError::NotADirectory { path } => Self::new(
                ProblemCode::StorageFailed,
                format!("{} cannot be used as a directory.", path.display()),
                why,
                format!("Remove it, or {ELSEWHERE}"),
            ),
            BootstrapError::Owner { path, .. } => Self::new(
                ProblemCode::PermissionDenied,
                format!("{} belongs to another user.", path.display()),
                why,
                "Remove it as its owner, or set XDG_RUNTIME_DIR and XDG_STATE_HOME to directories of your own.",
            ),
            BootstrapError::File { path, error } => Self::new(
                match error.kind() {
                    PermissionDenied | ReadOnlyFilesystem => ProblemCode::PermissionDenied,
                    StorageFull => ProblemCode::StorageFull,
                    _ => ProblemCode::StorageFailed,
                },
                format!("{} cannot be read or made.", path.display()),
                why,
                "Check the permissions and the free space of its directory.",
            ),
            BootstrapError::FolderMissing { path } => Self::new(
                ProblemCode::FileNotFound,
                format!("There is no folder of images {}.", path.display()),
                why,
                format!(
                    "Correct the folder (catalogs in the configuration, or --catalog), or make it: mkdir -p {}",
                    shell_word(path)
                ),
            ),
            BootstrapError::ProgramMissing { title, package, .. } => Self::new(
                ProblemCode::DependencyMissing,
                format!("{title} is not installed."),
                why,
                format!("Install it: sudo apt install {package}"),
            ),
            BootstrapError::ProgramOld { title, package, .. } => Self::new(
                ProblemCode::DependencyMissing,
                format!("{title} is too old."),
                why,
                format!("Install a newer one, as in a newer release of the distribution: sudo apt install {package}"),
            ),
            BootstrapError::ProgramSilent { title, package, .. } => Self::new(
                ProblemCode::DependencyMissing,
                format!("The version of {title} cannot be found out."),
                why,
                format!("Install it again: sudo apt install --reinstall {package}"),
            ),
            BootstrapError::Overdue { .. } => Self::new(
                ProblemCode::BootstrapTimeout,
                "A step of the start took too long.",
                why,
                "Look for a disk or a network file system that hangs; bootstrap.timeout in the configuration gives it \
                 more time.",
            ),
            BootstrapError::NoServer { .. } => Self::new(
                ProblemCode::NetworkInterrupted,
                "No server can be reached.",
                why,
                "Check the network of this computer; what is cached can be started without it.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_counted_as_people_do() {
        let why = |servers| BootstrapError::NoServer { servers }.to_string();
        assert_eq!(why(1), "the only server takes no connection");
        assert_eq!(why(2), "neither of the two servers takes a connection");
        assert_eq!(why(3), "none of the 3 servers takes a connection");
    }
}
