//! Why an image or a catalog is not available now, and what a person reads then.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use pixelrts_shared::{Problem, ProblemCode};

#[derive(Debug, thiserror::Error)]
pub(super) enum CatalogError {
    #[error("neither this computer nor the catalog of a server lists it")]
    NotFound { key: String },
    /// Each candidate with the servers that offer it.
    #[error("servers offer different bytes under this id")]
    Ambiguous { key: String, candidates: Vec<String> },
    #[error("the server has not answered yet")]
    NotYet { server: String },
    #[error("the first scan of the folders takes longer than {} s", within.as_secs())]
    Scanning { within: Duration },
    #[error("another program is writing it")]
    Changing { path: PathBuf },
    #[error("{error}")]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{why}")]
    Picture { why: String },
}

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Self {
        let why = error.to_string();
        match error {
            CatalogError::NotFound { key } => Self::new(
                ProblemCode::EntryNotFound,
                format!("There is no image {key}."),
                why,
                "Look at the list of images. If the image is new, wait a minute: folders and servers are read again \
                 without your help.",
            ),
            CatalogError::Ambiguous { key, candidates } => Self::new(
                ProblemCode::Ambiguous,
                format!("{key} is the id of {} different images.", candidates.len()),
                why,
                format!("Say which one you mean: {key}@SERVER, or its SHA-256."),
            )
            .context(candidates.join("; ")),
            CatalogError::NotYet { server } => Self::new(
                ProblemCode::NotReady,
                format!("The catalog of {server} is not here yet."),
                why,
                "Try again in a moment.",
            ),
            CatalogError::Scanning { .. } => {
                Self::new(ProblemCode::NotReady, "The images are still being read.", why, "Try again in a moment.")
            }
            CatalogError::Changing { path } => Self::new(
                ProblemCode::Busy,
                format!("{} changes while it is being read.", path.display()),
                why,
                "Wait until it is complete. Then it is read automatically.",
            ),
            CatalogError::Unreadable { path, error } => Self::new(
                match error.kind() {
                    io::ErrorKind::PermissionDenied => ProblemCode::PermissionDenied,
                    _ => ProblemCode::StorageFailed,
                },
                format!("{} cannot be read.", path.display()),
                why,
                "Make it readable for the user who runs the backend.",
            ),
            CatalogError::Picture { .. } => Self::new(
                ProblemCode::RemoteFailed,
                "The server's picture of this image cannot be shown.",
                why,
                "You need not do anything. The image can be started without its picture.",
            ),
        }
    }
}
