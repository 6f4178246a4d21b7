//! `pixelrts fetch`: an image into the cache.

use clap::Args;
use pixelrts_shared::{Digest, Problem};
use serde::Serialize;

use super::{Context, Outcome, runtime, source};

/// Download an image, verify it and keep it; continues where an earlier try ended
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pixelrts fetch debian-12@office")]
pub(super) struct Fetch {
    /// A file, an http(s) URL, a SHA-256, an id, or id@server
    source: String,
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
            let resolved = source::resolve(&self.source, context).await?;
            let sha256 = resolved.hash().await?;
            Ok(Fetched { path: resolved.path, sha256, name: resolved.name })
        });
        let fetched = fetched?;
        let text = format!("{}\n{}\n{}", fetched.name, fetched.sha256, fetched.path.display());
        context.output.answer(&fetched, || text);
        Ok(())
    }
}
