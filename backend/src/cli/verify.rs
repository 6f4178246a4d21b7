//! `pixelrts verify`: whether every byte of an image is what it should be.

use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::BinaryBytes;
use serde::Serialize;

use super::{Context, Outcome, local};
use crate::image::{Depth, Profile, Report};

/// Check the hashes of an image
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pixelrts verify --deep debian.rts.png\n\nExit codes: 0 good, 5 a hash does not \
                        match, 1 damaged in another way.")]
pub(super) struct Verify {
    /// The image
    file: PathBuf,
    /// The hashes of segments too; a classic image is always checked wholly
    #[arg(long)]
    deep: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    file: &'a Path,
    ok: bool,
    profile: Profile,
    depth: Depth,
    #[serde(flatten)]
    report: Report,
}

impl Verify {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let image = local::open(&self.file)?;
        let profile = image.profile();
        let depth = if self.deep || profile == Profile::Classic { Depth::Deep } else { Depth::Strips };
        let bar = context.output.progress("verifying", image.file_size());
        let outcome = image.verify(depth, &mut |done| bar.set_position(done));
        bar.finish_and_clear();
        let report = outcome.map_err(|error| local::about(&self.file, error))?;
        context.output.answer(&Answer { file: &self.file, ok: true, profile, depth, report: report.clone() }, || {
            let strips =
                report.strips.map_or_else(|| "the payload".to_owned(), |strips| format!("{} strips", strips.total));
            let segments = match (depth, report.segments) {
                (Depth::Strips, _) => String::new(),
                (Depth::Deep, 1) => " and 1 segment".to_owned(),
                (Depth::Deep, count) => format!(" and {count} segments"),
            };
            format!("{}: good ({}, {strips}{segments})", self.file.display(), BinaryBytes(report.bytes))
        });
        Ok(())
    }
}
