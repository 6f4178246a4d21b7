//! `pixelrts verify`: check whether every byte of an image is what it should be.

use std::path::Path;

use clap::Args;
use pixelrts_shared::{Level, Problem, ProblemCode, Size};
use serde::Serialize;

use super::output::counted;
use super::{Context, Outcome, local, locate, on_this_thread};
use crate::image::{Depth, Image, Profile, Report};

/// Check the hashes of an image
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  pixelrts verify debian.rts.png\n  pixelrts verify --deep debian-12@office\n\nExit codes: 0 nothing is wrong, 5 a hash \
                        does not match, 1 damaged in another way. A warning names what no hash in the image covers."
)]
pub(super) struct Verify {
    /// A file, an http(s) URL, or an image of a catalog: its id (debian-12), its name,
    /// id@server, or its SHA-256
    source: String,
    /// Also check the hash of each whole kernel, initrd and disk; a classic image is always checked completely
    #[arg(long)]
    deep: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    file: &'a Path,
    ok: bool,
    profile: Profile,
    depth: Depth,
    #[serde(flatten)]
    report: Report,
    /// Segments that no hash covers.
    unproven: Vec<&'a str>,
}

impl Verify {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let found = on_this_thread()?.block_on(locate::image(&self.source, context, locate::Wait::default()))?;
        let (file, image) = (found.path(), local::open_found(&found, &context.output)?);
        let profile = image.profile();
        let depth = if self.deep || profile == Profile::Classic { Depth::Deep } else { Depth::Strips };
        let bar = context.output.progress("verifying", image.file_size());
        let outcome = image.verify(depth, &mut |done| bar.set_position(done));
        bar.finish_and_clear();
        let report = outcome.map_err(|error| local::about(file, error))?;
        let unproven: Vec<_> = image.unverified().map(|segment| &*segment.name).collect();
        let good = if unproven.is_empty() { "good" } else { "readable, but not proven by a hash" };
        let answer = Document { file, ok: true, profile, depth, report, unproven };
        context.output.answer(&answer, || {
            let Report { bytes, strips, segments } = answer.report;
            let strips = strips.map_or_else(|| "the payload".to_owned(), |strips| counted(strips.total, "strip"));
            let segments = match depth {
                Depth::Strips => String::new(),
                Depth::Deep => format!(" and {}", counted(segments, "segment")),
            };
            format!("{}: {good} ({}, {strips}{segments})", file.display(), Size::from_bytes(bytes).in_words())
        });
        if let Some(problem) = warning(&image, file) {
            context.output.problem(&problem);
        }
        Ok(())
    }
}

/// A warning about bytes that no hash in the image covers, so that they may have been changed.
pub(super) fn warning(image: &Image, file: &Path) -> Option<Problem> {
    let names: Vec<_> = image.unverified().map(|segment| &*segment.name).collect();
    let why = format!("The image has no data_hash, and no SHA-256 of {}.", names.join(", "));
    let fix = "Compare the file's own SHA-256 (pixelrts inspect) with that of a source you trust.";
    let what = "Parts of this image have no hash, so nothing shows whether they are right.";
    let problem = Problem::new(ProblemCode::Unproven, what, why, fix).context(file.display().to_string());
    (!names.is_empty()).then_some(Problem { level: Level::Warn, ..problem })
}
