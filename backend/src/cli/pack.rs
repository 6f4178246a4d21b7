//! Not written yet.

use clap::Args;
use pixelrts_shared::{Problem, ProblemCode};

use super::{Context, Outcome};

/// Make an image
#[derive(Debug, Args)]
pub(super) struct Pack {}

impl Pack {
    pub(super) fn run(self, _context: &Context) -> Outcome {
        Err(Problem::new(ProblemCode::Internal, "not written yet", "", ""))
    }
}
