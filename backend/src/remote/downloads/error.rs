//! Why a download does not exist or has ended. What a server does wrong is a [`RemoteError`](crate::remote::RemoteError).

use pixelrts_shared::{Digest, DownloadId, Problem, ProblemCode};

#[derive(Debug, thiserror::Error)]
pub(super) enum DownloadError {
    #[error("no download has the id {0}; downloads that are over are listed only for a while")]
    NotFound(DownloadId),
    #[error("somebody cancelled it")]
    Cancelled,
    #[error("the backend is shutting down")]
    ShuttingDown,
    #[error("no enabled server offers {0}")]
    NoServer(Digest),
}

impl From<DownloadError> for Problem {
    fn from(error: DownloadError) -> Self {
        let why = error.to_string();
        match error {
            DownloadError::NotFound(_) => {
                Self::new(ProblemCode::DownloadNotFound, "There is no such download.", why, "Start it again.")
            }
            DownloadError::Cancelled | DownloadError::ShuttingDown => Self::new(
                ProblemCode::Interrupted,
                "The download was stopped.",
                why,
                "Start it again. It continues where it ended.",
            ),
            DownloadError::NoServer(_) => Self::new(
                ProblemCode::EntryNotFound,
                "No server has this image.",
                why,
                "Enable or add a server that has it.",
            ),
        }
    }
}
