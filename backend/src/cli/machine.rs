//! Not written yet.

use clap::Args;
use pixelrts_shared::{Problem, ProblemCode};

use super::{Context, Outcome};

/// Own one machine (started by the backend)
#[derive(Debug, Args)]
pub(super) struct RunMachine {}

impl RunMachine {
    pub(super) fn run(self, _context: &Context) -> Outcome {
        Err(Problem::new(ProblemCode::Internal, "not written yet", "", ""))
    }
}
