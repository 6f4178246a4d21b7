//! What can go wrong while samples are made.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use pixelrts_shared::{Problem, ProblemCode};

use crate::image::PackError;

#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    // The system.
    #[error("{program} is missing")]
    NoProgram { program: String },
    #[error("the package lists do not contain {name}")]
    UnknownPackage { name: String },
    #[error("{} has no kernel", folder.display())]
    NoKernel { folder: PathBuf },
    #[error("there is no static BusyBox")]
    NoBusybox,
    // Programs and files.
    #[error("{program} ended with {status}: {message}")]
    Failed { program: String, status: ExitStatus, message: String },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Pack(#[from] PackError),
}

impl SampleError {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

impl From<SampleError> for Problem {
    fn from(error: SampleError) -> Self {
        let why = error.to_string();
        let problem = |code, fix: &str| Self::new(code, "The sample images cannot be made.", &why, fix);
        match error {
            SampleError::NoProgram { program } => {
                problem(ProblemCode::DependencyMissing, &format!("Install {program}."))
            }
            SampleError::UnknownPackage { .. } => {
                problem(ProblemCode::DependencyMissing, "Run sudo apt-get update, then this again.")
            }
            SampleError::NoKernel { .. } => problem(
                ProblemCode::DependencyMissing,
                "Install a kernel package, or make an image of any kernel: pixelrts pack --kernel FILE -o OUT.rts.png",
            ),
            SampleError::NoBusybox => {
                problem(ProblemCode::DependencyMissing, "Install the package busybox-static, or busybox.")
            }
            SampleError::Failed { program, status, message } => {
                let why = format!("{program} ended with {status}");
                let fix = "Check the network, and run sudo apt-get update; then run this again.";
                Self::new(ProblemCode::NetworkInterrupted, "A package cannot be fetched.", why, fix).context(message)
            }
            SampleError::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::StorageFull => {
                    problem(ProblemCode::StorageFull, "Free some space: 400 MB are enough.")
                }
                std::io::ErrorKind::PermissionDenied => problem(
                    ProblemCode::PermissionDenied,
                    "Choose a folder that you may write to: pixelrts samples DIR",
                ),
                _ => problem(ProblemCode::StorageFailed, "Choose another folder: pixelrts samples DIR"),
            },
            SampleError::Pack(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_lists_lead_to_an_update() {
        let problem = Problem::from(SampleError::UnknownPackage { name: "busybox-static".into() });
        assert_eq!(problem.code, ProblemCode::DependencyMissing);
        assert!(problem.why.contains("busybox-static") && problem.fix.contains("apt-get update"), "{problem}");
    }

    #[test]
    fn a_full_disk_is_a_problem_of_its_own() {
        let io = |kind: std::io::ErrorKind| Problem::from(SampleError::io(Path::new("/x"))(kind.into())).code;
        assert_eq!(io(std::io::ErrorKind::StorageFull), ProblemCode::StorageFull);
        assert_eq!(io(std::io::ErrorKind::PermissionDenied), ProblemCode::PermissionDenied);
        assert_eq!(io(std::io::ErrorKind::UnexpectedEof), ProblemCode::StorageFailed);
    }
}
