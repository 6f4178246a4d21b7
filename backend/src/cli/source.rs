//! What a SOURCE means: a file, an http(s) URL, an entry's SHA-256, an id, or `id@server`.

use std::path::PathBuf;

use pixelrts_shared::download::Download;
use pixelrts_shared::{Digest, Problem, ProblemCode};

use super::Context;

/// An image that is on this computer now.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    pub(super) path: PathBuf,
    /// Of the whole file; computed, never taken from an advertisement.
    pub(super) digest: Digest,
    pub(super) name: String,
}

/// Finds the image, fetches it into the cache if needed, and tells of its progress.
pub(super) async fn resolve(
    _source: &str,
    _context: &Context,
    _progress: impl FnMut(&Download),
) -> Result<Resolved, Problem> {
    Err(Problem::new(ProblemCode::Internal, "not written yet", "", ""))
}
