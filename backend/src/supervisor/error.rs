//! Why the backend ended, and why it cannot be kept running.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use pixelrts_shared::{Problem, ProblemCode as Code, Span};

use super::engine::Engine;

/// How one life of the backend ended.
#[derive(Debug, thiserror::Error)]
pub enum End {
    #[error("it cannot be started: {0}")]
    Spawn(io::Error),
    #[error("it ended with {0}")]
    Exited(ExitStatus),
    #[error("its socket accepted no connection within {0:?}")]
    NotUp(Duration),
    #[error("it did not answer a health check: {0}")]
    Silent(io::Error),
}

#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    #[error("{}: {why}", engine.0)]
    /// `installed`: its client is, and the engine does not answer or runs no containers.
    RuntimeMissing { engine: Engine, installed: bool, why: String, fix: String },
    #[error("{} has no container image {image}", engine.0)]
    ImageMissing { engine: Engine, image: String },
    #[error("it ended {} times within {}; the last time, {end}", max_restarts + 1, Span::from(*window))]
    Limit { max_restarts: u32, window: Duration, end: End },
}

impl From<SupervisorError> for Problem {
    fn from(error: SupervisorError) -> Self {
        let why = error.to_string();
        let alone = "or run the backend without a container: pixelrts up --runtime process";
        let (code, what, fix) = match error {
            SupervisorError::RuntimeMissing { engine, installed, fix, .. } => {
                let what =
                    if installed { "is installed, but cannot run containers here." } else { "is not installed." };
                (Code::RuntimeMissing, format!("{} {what}", engine.0), format!("{fix}; {alone}"))
            }
            SupervisorError::ImageMissing { .. } => {
                let what = "The container image is missing.".to_owned();
                (Code::ContainerImageMissing, what, format!("Run cargo xtask image; {alone}"))
            }
            SupervisorError::Limit { .. } => {
                let fix = "Remove the cause that the log above shows, then start it again: pixelrts up".to_owned();
                (Code::RestartLimit, "The backend ended too often, so it is not restarted.".to_owned(), fix)
            }
        };
        Self::new(code, what, why, fix)
    }
}
