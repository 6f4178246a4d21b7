//! `pixelrts inspect`: what an image contains, and what it says about itself.

mod picture;
mod text;

use std::path::Path;

use clap::Args;
use pixelrts_shared::Digest;
use serde::Serialize;

use super::{Context, Outcome, local, locate, on_this_thread};
use crate::image::{Image, Metadata, Profile, Segment, Stored, StripCounts};

/// Show what is in an image
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  pixelrts inspect debian.rts.png\n  pixelrts inspect --json http://images.example.org/debian.rts.png"
)]
pub(super) struct Inspect {
    /// A file, an http(s) URL, or an image of a catalog: its id (debian-12), its name,
    /// id@server, or its SHA-256
    source: String,
}

#[derive(Serialize)]
struct Document<'a> {
    file: &'a Path,
    profile: Profile,
    size: u64,
    data_size: u64,
    width: u32,
    height: u32,
    sha256: Digest,
    index_sha256: Option<Digest>,
    strips: Option<StripCounts>,
    segments: Vec<Row<'a>>,
    metadata: &'a Metadata,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    segment: &'a Segment,
    #[serde(flatten)]
    stored: Option<Stored>,
}

impl Inspect {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let found = on_this_thread()?.block_on(locate::image(&self.source, context, locate::Wait::default()))?;
        let image = local::open_found(&found, &context.output)?;
        let sha256 = match found.digest() {
            Some(digest) => digest,
            None => {
                let bar = context.output.progress("hashing", image.file_size());
                let digest = local::digest(found.path(), &bar);
                bar.finish_and_clear();
                digest?
            }
        };
        show(context, found.path(), &image, sha256);
        Ok(())
    }
}

fn show(context: &Context, file: &Path, image: &Image, sha256: Digest) {
    let row = |segment| Row { segment, stored: image.stored(segment) };
    let answer = Document {
        file,
        profile: image.profile(),
        size: image.file_size(),
        data_size: image.data_size(),
        width: image.width(),
        height: image.height(),
        sha256,
        index_sha256: image.index_digest(),
        strips: image.strips(),
        segments: image.segments().iter().map(row).collect(),
        metadata: image.metadata(),
    };
    context.output.answer(&answer, || {
        let screen = context.output.screen();
        let text = answer.text(screen.map(|screen| screen.columns));
        match screen.filter(|screen| screen.colours) {
            // An image whose picture cannot be read can still be described.
            Some(screen) => picture::beside(image.thumbnail(picture::SIDE).ok(), &text, screen.columns),
            None => text,
        }
    });
}
