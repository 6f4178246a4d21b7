//! Image files of this computer, for the commands that look into one.

use std::io;
use std::path::Path;

use indicatif::ProgressBar;
use pixelrts_shared::{Digest, Problem};
use sha2::{Digest as _, Sha256};

use crate::blob::{Blob, FileBlob};
use crate::image::{Image, ImageError, Limits, storage};

pub(super) fn open(path: &Path) -> Result<Image, Problem> {
    Image::open_file(path, &Limits::default()).map_err(|error| about(path, error))
}

/// The problem, with the file that it is about.
pub(super) fn about(path: &Path, error: ImageError) -> Problem {
    Problem::from(error).context(path.display().to_string())
}

/// The SHA-256 of the whole file.
pub(super) fn digest(path: &Path, bar: &ProgressBar) -> Result<Digest, Problem> {
    let read = || -> io::Result<Digest> {
        let blob = FileBlob::open(path)?;
        let (mut hash, mut buffer, mut at) = (Sha256::new(), vec![0; 1 << 20], 0);
        loop {
            match blob.read_at(&mut buffer, at)? {
                0 => return Ok(Digest::new(hash.finalize().into())),
                count => {
                    hash.update(&buffer[..count]);
                    at += count as u64;
                    bar.set_position(at);
                }
            }
        }
    };
    read().map_err(|error| storage(&error, "The file cannot be read.").context(path.display().to_string()))
}
