//! Why an image or a catalog is not available now, and what a person reads then.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pixelrts_shared::catalog::{Moves, Position};
use pixelrts_shared::text::Text;
use pixelrts_shared::{Problem, ProblemCode};

use crate::image::printable;

#[derive(Debug, thiserror::Error)]
pub(super) enum CatalogError {
    #[error("neither this computer nor the catalog of a server lists it")]
    NotFound { key: String },
    /// It may be in the catalogs of these servers, which cannot be read: each with the reason.
    #[error("no list that can be read has it, and these servers cannot be asked: {}", silent.join("; "))]
    MayBeElsewhere { key: String, silent: Vec<String>, fix: String },
    #[error("{server} lists it, but {reason}")]
    LeftOut { key: String, server: String, reason: String },
    /// Each candidate with the servers that offer it.
    #[error("servers offer different bytes under this id")]
    Ambiguous { key: String, candidates: Vec<String> },
    #[error("the server has not answered yet")]
    NotYet { server: String },
    #[error("the first scan of the folders takes longer than {} s", within.as_secs())]
    Scanning { within: Duration },
    #[error("another program is writing it")]
    Changing { path: PathBuf },
    #[error("no server has sent anything of it for {} s", within.as_secs())]
    Stalled { within: Duration },
    /// Nothing below this path answers.
    #[error("it has not answered since {since}")]
    Hangs { path: PathBuf, since: String },
    #[error("it was there and is not there any more")]
    Gone { path: PathBuf },
    #[error("its name is not valid UTF-8")]
    Name { path: PathBuf },
    #[error("it is a pipe, a socket or a device")]
    NoFile { path: PathBuf },
    #[error("it has more than {most} images")]
    TooMany { path: PathBuf, most: usize },
    #[error("only the first {shown} problems are shown")]
    More { shown: usize, more: usize },
    #[error("{error}")]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{why}")]
    Picture { why: String },
    #[error("a request has at most {} of them", Moves::MOST)]
    ManyMoves,
    #[error("columns and rows are counted from 0 to {}", Position::LAST)]
    OffTheWall { position: Position },
    #[error("two entries of the request are put there")]
    OnePlace { x: u32, y: u32 },
    #[error("the request names it twice")]
    MovedTwice { key: String },
}

/// A path as a person may read it: a name can have characters that control a terminal.
pub(super) fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Self {
        let why = error.to_string();
        match error {
            CatalogError::NotFound { key } => Self::new(
                ProblemCode::EntryNotFound,
                format!("There is no image {key}."),
                why,
                "Look at the list of images (pixelrts catalog ls). If the image is new, wait a minute: folders and servers \
                 are read again without your help.",
            ),
            CatalogError::MayBeElsewhere { key, fix, .. } => {
                Self::new(ProblemCode::EntryNotFound, format!("There is no image {key}."), why, fix)
            }
            CatalogError::LeftOut { key, .. } => Self::new(
                ProblemCode::EntryNotFound,
                format!("The image {key} cannot be used."),
                why,
                "Ask the person who runs that server to build its catalog again, or use another server.",
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
            CatalogError::Stalled { .. } => Self::new(
                ProblemCode::NetworkStalled,
                "The image does not arrive.",
                why,
                "Ask again later. What has been downloaded is kept, and the download continues from there.",
            ),
            CatalogError::Changing { path } => Self::new(
                ProblemCode::Busy,
                format!("{} changes while it is being read.", shown(&path)),
                why,
                "Wait until it is complete. Then it is read automatically.",
            ),
            CatalogError::Unreadable { path, error } => Self::new(
                match error.kind() {
                    io::ErrorKind::PermissionDenied => ProblemCode::PermissionDenied,
                    _ => ProblemCode::StorageFailed,
                },
                format!("{} cannot be read.", shown(&path)),
                why,
                "Check the disk or the share, and make it readable for the user who runs the backend.",
            ),
            CatalogError::Hangs { path, .. } => Self::new(
                ProblemCode::NotReady,
                format!("{} does not answer.", shown(&path)),
                why,
                "Check the network share or the disk behind it. Its images are left out until it answers; you need not \
                 start anything again.",
            ),
            CatalogError::Gone { path } => Self::new(
                ProblemCode::FileNotFound,
                format!("The folder {} is not there.", shown(&path)),
                why,
                "Mount the disk or the share again, or make the folder. Its images come back by themselves.",
            ),
            CatalogError::Name { path } => Self::new(
                ProblemCode::NotAnImage,
                format!("{} is left out.", shown(&path)),
                why,
                "Rename the file or its folder: images are named by plain text.",
            ),
            CatalogError::NoFile { path } => Self::new(
                ProblemCode::NotAnImage,
                format!("{} is left out.", shown(&path)),
                why,
                "Remove it, or rename it so that its name does not end in .rts.png.",
            ),
            CatalogError::TooMany { path, .. } => Self::new(
                ProblemCode::ImageTooLarge,
                format!("Some images in {} are left out.", shown(&path)),
                why,
                "Use several folders, and name each of them with --catalog.",
            ),
            CatalogError::More { more, .. } => Self::new(
                ProblemCode::NotAnImage,
                format!("{more} more files or folders cannot be used."),
                why,
                "Remove or repair those that are listed. Then the others are shown.",
            ),
            CatalogError::ManyMoves => Self::new(
                ProblemCode::Usage,
                "Too many images are arranged at once.",
                why,
                "Send them in several requests.",
            ),
            CatalogError::OffTheWall { position: Position { x, y } } => Self::new(
                ProblemCode::Usage,
                format!("There is no place in column {x}, row {y}."),
                why,
                "Choose a place on the wall.",
            ),
            CatalogError::OnePlace { x, y } => Self::new(
                ProblemCode::Usage,
                format!("Only one image can be in column {x}, row {y}."),
                why,
                "Give each entry a place of its own.",
            ),
            CatalogError::MovedTwice { key } => Self::new(
                ProblemCode::Usage,
                format!("{} cannot be in two places.", Text::<200>::new(&key)),
                why,
                "Name each entry once.",
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
