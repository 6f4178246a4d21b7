//! `pixelrts machine`: the process that the backend starts for each machine. People do not use it.

use std::path::PathBuf;

use clap::Args;

use super::{Context, Outcome};

/// Own one machine (started by the backend)
#[derive(Debug, Args)]
pub(super) struct RunMachine {
    /// The machine's run directory, with spec.json in it
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

impl RunMachine {
    pub(super) fn run(self, _context: &Context) -> Outcome {
        crate::machine::run_machine_process(&self.dir)
    }
}
