//! `pixelrts unpack`: write the segments of an image as files. Each file is complete and checked, or absent.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::ProgressBar;
use pixelrts_shared::{Problem, ProblemCode, Size};
use serde::Serialize;

use super::{Context, Outcome, local, locate, on_this_thread};
use crate::files::{Existing, storage_problem, write_atomically};
use crate::image::{Image, Segment, UnpackError};

/// Write the kernel, the initrd and the disks of an image as files
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pixelrts unpack debian.rts.png debian/")]
pub(super) struct Unpack {
    /// A file, an http(s) URL, or an image of a catalog: its id (debian-12), its name,
    /// id@server, or its SHA-256
    source: String,
    /// The folder for the segments; created if it does not exist
    dir: PathBuf,
    /// Replace existing files
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    directory: &'a Path,
    segments: &'a [Segment],
}

impl Unpack {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let found = on_this_thread()?.block_on(locate::image(&self.source, context, locate::Wait::default()))?;
        let image = local::open_found(&found, &context.output)?;
        let segments = image.segments();
        std::fs::create_dir_all(&self.dir).map_err(|error| {
            storage_problem(&error, "The folder cannot be created.").context(self.dir.display().to_string())
        })?;
        if !self.force
            && let Some(there) =
                segments.iter().map(|s| self.dir.join(&s.name)).find(|path| path.symlink_metadata().is_ok())
        {
            return Err(folder_problem(&ErrorKind::AlreadyExists.into(), &there));
        }
        let bar = context.output.progress("unpacking", segments.iter().map(|segment| segment.size).sum());
        let outcome = segments.iter().try_for_each(|segment| self.write(&image, found.path(), segment, &bar));
        bar.finish_and_clear();
        outcome?;
        context.output.answer(&Document { directory: &self.dir, segments }, || {
            let line = |segment: &Segment| {
                format!("{}  {}", self.dir.join(&segment.name).display(), Size::from_bytes(segment.size).in_words())
            };
            segments.iter().map(line).collect::<Vec<_>>().join("\n")
        });
        Ok(())
    }

    fn write(&self, image: &Image, from: &Path, segment: &Segment, bar: &ProgressBar) -> Outcome {
        let path = self.dir.join(&segment.name);
        let existing = if self.force { Existing::Replace } else { Existing::Keep };
        let before = bar.position();
        let write = |file: &mut File| image.unpack(segment, file, &mut |done| bar.set_position(before + done));
        write_atomically(&path, existing, write).map_err(|error| match error {
            UnpackError::Image(error) => local::about(from, error),
            UnpackError::Output(error) => folder_problem(&error, &path),
        })
    }
}

fn folder_problem(error: &io::Error, path: &Path) -> Problem {
    if error.kind() == ErrorKind::AlreadyExists {
        let why = format!("{} exists already.", path.display());
        return Problem::new(
            ProblemCode::Busy,
            "A file would be overwritten.",
            why,
            "Add --force, or choose another folder.",
        );
    }
    storage_problem(error, "A segment cannot be written.").context(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Inputs, Loaded};
    use crate::image::{Pack, SegmentFile};
    use crate::paths::Paths;
    use pixelrts_shared::catalog::Role;

    #[test]
    fn segments_become_files_and_files_are_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let (kernel, image, dir) = (folder.path().join("k"), folder.path().join("i"), folder.path().join("out/deep"));
        std::fs::write(&kernel, vec![7; 300_000]).unwrap();
        let segments = vec![SegmentFile { name: "kernel".into(), role: Role::Kernel, path: kernel.clone() }];
        let pack = Pack { segments, ..Pack::default() };
        pack.write(&image, &mut |_, _| {}).unwrap();
        let context = Context {
            output: super::super::Output::new(false, true),
            paths: Paths::from_environment(|_| None),
            config: Loaded::default(),
            sources: Inputs::default(),
            proxies: Default::default(),
        };
        let unpack = |force| Unpack { source: image.display().to_string(), dir: dir.clone(), force }.run(&context);
        unpack(false).unwrap();
        assert_eq!(std::fs::read(dir.join("kernel")).unwrap(), vec![7; 300_000]);
        std::fs::write(dir.join("kernel"), "mine").unwrap();
        assert_eq!(unpack(false).unwrap_err().code, ProblemCode::Busy);
        assert_eq!(std::fs::read(dir.join("kernel")).unwrap(), b"mine");
        unpack(true).unwrap();
        assert_eq!(std::fs::read(dir.join("kernel")).unwrap().len(), 300_000);
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
    }
}
