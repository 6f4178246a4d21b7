//! Not written yet.

use clap::Args;
use pixelrts_shared::{Problem, ProblemCode};

use super::{Context, Outcome};

/// Show what is in an image
#[derive(Debug, Args)]
pub(super) struct Inspect {}

impl Inspect {
    pub(super) fn run(self, _context: &Context) -> Outcome {
        Err(Problem::new(ProblemCode::Internal, "not written yet", "", ""))
    }
}
