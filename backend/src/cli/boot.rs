//! Not written yet.

use clap::Args;
use pixelrts_shared::{Problem, ProblemCode};

use super::{Context, Outcome};

/// Boot an image in the foreground
#[derive(Debug, Args)]
pub(super) struct Boot {}

impl Boot {
    pub(super) fn run(self, _context: &Context) -> Outcome {
        Err(Problem::new(ProblemCode::Internal, "not written yet", "", ""))
    }
}
