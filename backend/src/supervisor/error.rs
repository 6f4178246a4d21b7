//! Why the backend ended, and why nobody can keep it up.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use pixelrts_shared::{Problem, ProblemCode as Code};

use super::engine::Engine;

/// How one life of the backend ended.
#[derive(Debug, thiserror::Error)]
pub enum End {
    #[error("it cannot be started: {0}")]
    Spawn(io::Error),
    #[error("it ended with {0}")]
    Exited(ExitStatus),
    #[error("its socket took no connection within {0:?}")]
    NotUp(Duration),
    #[error("it did not answer a ping: {0}")]
    Silent(io::Error),
}

#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    #[error("{}: {why}", engine.0)]
    RuntimeMissing { engine: Engine, why: String, fix: String },
    #[error("{} has no image {image}", engine.0)]
    ImageMissing { engine: Engine, image: String },
    #[error("it ended {} times within {}, lastly: {end}", max_restarts + 1, humantime::format_duration(*window))]
    Limit { max_restarts: u32, window: Duration, end: End },
}

impl From<SupervisorError> for Problem {
    fn from(error: SupervisorError) -> Self {
        let why = error.to_string();
        let alone = "or do without containers: pixelrts up --runtime process";
        let (code, what, fix) = match error {
            SupervisorError::RuntimeMissing { fix, .. } => {
                (Code::RuntimeMissing, "The container engine cannot be used.", format!("{fix}; {alone}"))
            }
            SupervisorError::ImageMissing { .. } => {
                (Code::ContainerImageMissing, "The container has no image.", format!("Run cargo xtask image; {alone}"))
            }
            SupervisorError::Limit { .. } => {
                let fix = "Mend what its log above complains of, then start it again: pixelrts up".to_owned();
                (Code::RestartLimit, "The backend ended too often; it is not started again.", fix)
            }
        };
        Self::new(code, what, why, fix)
    }
}
