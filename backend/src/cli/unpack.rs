//! `pixelrts unpack`: the segments of an image as files, each complete and checked, or absent.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{BinaryBytes, ProgressBar};
use pixelrts_shared::{Digest, Problem, ProblemCode};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{Context, Outcome, local};
use crate::image::{Existing, Image, ImageError, Segment, storage, write_atomically};

/// Read and written at once, in bytes: a strip.
const PIECE: usize = 256 << 10;

/// Write the segments of an image as files
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pixelrts unpack debian.rts.png debian/")]
pub(super) struct Unpack {
    /// The image
    file: PathBuf,
    /// The folder for the segments; made if it is not there
    dir: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    directory: &'a Path,
    segments: &'a [Segment],
}

/// Who is to blame while a segment is written: the image, or the folder.
#[derive(Debug)]
enum Failure {
    Image(ImageError),
    Folder(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Folder(error)
    }
}

impl Unpack {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let image = local::open(&self.file)?;
        let segments = image.segments();
        std::fs::create_dir_all(&self.dir)
            .map_err(|error| storage(&error, "The folder cannot be made.").context(self.dir.display().to_string()))?;
        if !self.force
            && let Some(there) =
                segments.iter().map(|s| self.dir.join(&s.name)).find(|path| path.symlink_metadata().is_ok())
        {
            return Err(folder_problem(&ErrorKind::AlreadyExists.into(), &there));
        }
        let bar = context.output.progress("unpacking", segments.iter().map(|segment| segment.size).sum());
        let outcome = segments.iter().try_for_each(|segment| self.write(&image, segment, &bar));
        bar.finish_and_clear();
        outcome?;
        context.output.answer(&Answer { directory: &self.dir, segments }, || {
            let line = |segment: &Segment| {
                format!("{}  {}", self.dir.join(&segment.name).display(), BinaryBytes(segment.size))
            };
            segments.iter().map(line).collect::<Vec<_>>().join("\n")
        });
        Ok(())
    }

    fn write(&self, image: &Image, segment: &Segment, bar: &ProgressBar) -> Outcome {
        let path = self.dir.join(&segment.name);
        let existing = if self.force { Existing::Replace } else { Existing::Keep };
        write_atomically(&path, existing, |file| copy(image, segment, file, bar)).map_err(|failure| match failure {
            Failure::Image(error) => local::about(&self.file, error),
            Failure::Folder(error) => folder_problem(&error, &path),
        })
    }
}

/// Copies a segment, and compares its hash before the file gets its name.
fn copy(image: &Image, segment: &Segment, file: &mut File, bar: &ProgressBar) -> Result<(), Failure> {
    let (mut buffer, mut hash, mut done) = (vec![0; PIECE], Sha256::new(), 0);
    loop {
        let count = image.read_at(segment, &mut buffer, done).map_err(Failure::Image)?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        file.write_all(&buffer[..count])?;
        done += count as u64;
        bar.inc(count as u64);
    }
    let found = Digest::new(hash.finalize().into());
    match segment.sha256 {
        Some(expected) if expected != found => {
            Err(Failure::Image(ImageError::SegmentMismatch { segment: segment.name.clone(), expected, found }))
        }
        _ => Ok(()),
    }
}

fn folder_problem(error: &io::Error, path: &Path) -> Problem {
    if error.kind() == ErrorKind::AlreadyExists {
        let why = format!("{} is there already.", path.display());
        return Problem::new(
            ProblemCode::Busy,
            "A file would be overwritten.",
            why,
            "Add --force, or choose another folder.",
        );
    }
    storage(error, "A segment cannot be written.").context(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Loaded, Sources};
    use crate::image::{Pack, Source};
    use crate::paths::Paths;
    use pixelrts_shared::catalog::Role;

    #[test]
    fn segments_become_files_and_files_are_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let (kernel, image, dir) = (folder.path().join("k"), folder.path().join("i"), folder.path().join("out/deep"));
        std::fs::write(&kernel, vec![7; PIECE + 5]).unwrap();
        let segments = vec![Source { name: "kernel".into(), role: Role::Kernel, path: kernel.clone() }];
        let pack = Pack { segments, ..Pack::default() };
        pack.write(&image, &mut |_, _| {}).unwrap();
        let context = Context {
            output: super::super::Output::new(false, true),
            paths: Paths::from_environment(|_| None),
            config: Loaded::default(),
            sources: Sources::default(),
        };
        let unpack = |force| Unpack { file: image.clone(), dir: dir.clone(), force }.run(&context);
        unpack(false).unwrap();
        assert_eq!(std::fs::read(dir.join("kernel")).unwrap(), vec![7; PIECE + 5]);
        std::fs::write(dir.join("kernel"), "mine").unwrap();
        assert_eq!(unpack(false).unwrap_err().code, ProblemCode::Busy);
        assert_eq!(std::fs::read(dir.join("kernel")).unwrap(), b"mine");
        unpack(true).unwrap();
        assert_eq!(std::fs::read(dir.join("kernel")).unwrap().len(), PIECE + 5);
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
    }
}
