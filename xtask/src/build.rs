//! `cargo xtask build`: shell and backend in one binary.

pub(crate) mod shell;

use anyhow::Result;

use crate::command::{cargo, finish};
use crate::steps::Steps;
use crate::tools::{self, Purpose};

pub(crate) const BINARY: &str = "target/release/pixelrts";

pub(crate) fn build(steps: &mut Steps) -> Result<()> {
    tools::ensure(steps, Purpose::Build)?;
    parts(steps)?;
    println!("Built {BINARY}");
    Ok(())
}

/// Builds both parts, for a task that has its tools already. The shell comes first, because the backend embeds it.
pub(crate) fn parts(steps: &mut Steps) -> Result<()> {
    shell::build(steps)?;
    steps.run("build the backend", || finish(&mut cargo(&["build", "--release", "--locked", "--package", "pixelrts"])))
}
