//! `cargo xtask build`: shell and backend in one binary.

pub(crate) mod shell;

use anyhow::Result;

use crate::command::{cargo, finish};
use crate::steps::Steps;
use crate::tools::{self, Purpose};

pub(crate) const BINARY: &str = "target/release/pixelrts";

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Build the shell alone, into frontend/dist
    #[arg(long)]
    shell: bool,
}

pub(crate) fn build(steps: &mut Steps, options: &Options) -> Result<()> {
    tools::ensure(steps, Purpose::Build)?;
    if options.shell {
        return shell::build(steps);
    }
    parts(steps)?;
    println!("Built {BINARY}");
    Ok(())
}

/// Builds both parts, for a task that has its tools already. The shell comes first, because the backend embeds it.
pub(crate) fn parts(steps: &mut Steps) -> Result<()> {
    shell::build(steps)?;
    steps.run("build the backend", || finish(&mut cargo(&["build", "--release", "--locked", "--package", "pixelrts"])))
}
