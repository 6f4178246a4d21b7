//! Not written yet.

use clap::Args;
use pixelrts_shared::{Problem, ProblemCode};

use super::{Context, Outcome};

/// Check the hashes of an image
#[derive(Debug, Args)]
pub(super) struct Verify {}

impl Verify {
    pub(super) fn run(self, _context: &Context) -> Outcome {
        Err(Problem::new(ProblemCode::Internal, "not written yet", "", ""))
    }
}
