//! `pixelrts fetch`: download an image into the cache.

use clap::Args;
use pixelrts_shared::{Digest, Problem};
use serde::Serialize;

use super::{Context, Outcome, locate, runtime};

/// Download an image, verify it and keep it; an earlier download continues where it ended
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pixelrts fetch debian-12@office")]
pub(super) struct Fetch {
    /// A file, an http(s) URL, or an image of a catalog: its id (debian-12), its name,
    /// id@server, or its SHA-256
    source: String,
    #[command(flatten)]
    wait: locate::Wait,
}

#[derive(Serialize)]
struct Fetched {
    path: std::path::PathBuf,
    sha256: Digest,
    name: String,
}

impl Fetch {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let fetched: Result<_, Problem> = runtime()?.block_on(async {
            let image = locate::image(&self.source, context, self.wait).await?;
            Ok(Fetched { sha256: image.hash().await?, path: image.path().to_owned(), name: image.name })
        });
        let fetched = fetched?;
        let text = format!("{}\n{}\n{}", fetched.name, fetched.sha256, fetched.path.display());
        context.output.answer(&fetched, || text);
        Ok(())
    }
}
