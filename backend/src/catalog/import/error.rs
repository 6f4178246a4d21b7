//! Why an image is not taken, and what a person reads then.

use std::io;
use std::path::{Path, PathBuf};

use pixelrts_shared::{Problem, ProblemCode, Size};

use super::super::error::shown;
use crate::files::storage_problem;
use crate::report::shell_word;

#[derive(Debug, thiserror::Error)]
pub(super) enum ImportError {
    #[error("{0}")]
    Name(&'static str),
    #[error("As many images as possible are arriving already.")]
    Crowded,
    #[error("The backend was started without one.")]
    NoFolder,
    #[error("The folder does not take a file.")]
    Folder { folder: PathBuf, error: io::Error },
    #[error("It has {}, and {} are free on the disk of {}.", words(*length), words(*room), shown(folder))]
    NoRoom { folder: PathBuf, length: u64, room: u64 },
    #[error("Another image has this name, and it is not replaced.")]
    Taken { path: PathBuf },
    #[error("The image cannot be stored.")]
    Unwritten(io::Error),
    #[error("{0}")]
    Broken(String),
}

fn words(bytes: u64) -> String {
    Size::from_bytes(bytes).in_words()
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        let why = error.to_string();
        match error {
            ImportError::Name(_) => Self::new(
                ProblemCode::Usage,
                "The file cannot have this name.",
                why,
                "Choose another name, for example debian-12.rts.png.",
            ),
            ImportError::Crowded => Self::new(
                ProblemCode::Overloaded,
                "The image cannot be taken now.",
                why,
                "Wait until one of them is there, then try again.",
            ),
            ImportError::NoFolder => Self::new(
                ProblemCode::FileNotFound,
                "There is no folder for images.",
                why,
                "Start it with --catalog FOLDER, or set `catalogs` in the configuration.",
            ),
            ImportError::Folder { folder, error } => unusable(&folder, &error),
            ImportError::NoRoom { .. } => Self::new(
                ProblemCode::StorageFull,
                "There is no room for the image.",
                why,
                "Free some space on that disk, or add a folder on another one with --catalog.",
            ),
            ImportError::Taken { path } => Self::new(
                ProblemCode::Busy,
                format!("{} is there already.", shown(Path::new(path.file_name().unwrap_or_default()))),
                why,
                "Choose another name, or remove the file.",
            ),
            ImportError::Unwritten(error) => storage_problem(&error, "The image cannot be stored."),
            ImportError::Broken(_) => Self::new(
                ProblemCode::NetworkInterrupted,
                "The image did not arrive as a whole.",
                why,
                "Send it again.",
            ),
        }
    }
}

fn unusable(folder: &Path, error: &io::Error) -> Problem {
    let fix = match error.kind() {
        io::ErrorKind::NotFound => format!("Make the folder: mkdir -p {}", shell_word(folder)),
        io::ErrorKind::PermissionDenied => {
            "Let the user who runs the backend write there, or add another folder with --catalog.".to_owned()
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "Mount its disk for writing, or add another folder with --catalog.".to_owned()
        }
        _ => "Check the folder and its disk, or add another folder with --catalog.".to_owned(),
    };
    let problem = storage_problem(error, &format!("The folder {} does not take an image.", shown(folder)));
    Problem { fix, ..problem }
}
