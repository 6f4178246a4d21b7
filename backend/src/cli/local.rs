//! Opens image files of this computer for the commands that look into one.

use std::fs::File;
use std::io;
use std::path::Path;

use indicatif::ProgressBar;
use pixelrts_shared::{Digest, Problem};
use sha2::Digest as _;

use super::locate::by_path;
use super::output::Output;
use crate::blob::FileBlob;
use crate::cache::hash_reader;
use crate::catalog::ImageFile;
use crate::files::storage_problem;
use crate::image::{Image, ImageError, Limits};

/// Opens an image. A classic one is decoded, which takes time, so that progress is shown.
pub(super) fn open(path: &Path, output: &Output) -> Result<Image, Problem> {
    if let Some(problem) = by_path(path) {
        return Err(problem);
    }
    decode(path, FileBlob::open(path), output)
}

/// The same with the file that was found, and checked if it has a digest.
pub(super) fn open_found(found: &ImageFile, output: &Output) -> Result<Image, Problem> {
    decode(found.path(), found.open(), output)
}

fn decode(path: &Path, opened: io::Result<FileBlob>, output: &Output) -> Result<Image, Problem> {
    let mut progress = output.progress_if_any("decoding");
    let blob = opened.map_err(|error| about(path, error.into()))?;
    let opened = Image::open_with(Box::new(blob), &Limits::default(), &mut |done, total| progress.show(done, total));
    opened.map_err(|error| about(path, error))
}

/// The problem, with the name of the file that it is about.
pub(super) fn about(path: &Path, error: ImageError) -> Problem {
    Problem::from(error).context(path.display().to_string())
}

/// The SHA-256 of the whole file.
pub(super) fn digest(path: &Path, bar: &ProgressBar) -> Result<Digest, Problem> {
    let read = || -> io::Result<Digest> {
        let (hash, _) = hash_reader(bar.wrap_read(File::open(path)?))?;
        Ok(Digest::new(hash.finalize().into()))
    };
    read().map_err(|error| storage_problem(&error, "The file cannot be read.").context(path.display().to_string()))
}
