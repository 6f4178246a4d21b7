//! `cargo xtask run` and `build`: from a clone to the shell in the browser.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{cargo, finish};
use crate::shell;
use crate::steps::Steps;
use crate::tools::{self, Purpose};

pub(crate) const BINARY: &str = "target/release/pixelrts";
pub(crate) const SAMPLES: &str = "target/samples";

pub(crate) fn run(steps: &mut Steps, serve: &[String]) -> Result<()> {
    tools::ensure(steps, Purpose::Run)?;
    build_parts(steps)?;
    if let Err(error) = samples(steps) {
        println!("{error:#}\nNo sample images, then: put your own into {SAMPLES}.");
        std::fs::create_dir_all(SAMPLES)?;
    }
    println!("==> start the backend; Ctrl-C stops it");
    let error = Command::new(BINARY).args(["serve", "--catalog", SAMPLES]).args(serve).exec();
    Err(error).context(BINARY)
}

pub(crate) fn build(steps: &mut Steps) -> Result<()> {
    tools::ensure(steps, Purpose::Build)?;
    build_parts(steps)?;
    println!("Built {BINARY}");
    Ok(())
}

/// The shell first: the backend embeds it.
pub(crate) fn build_parts(steps: &mut Steps) -> Result<()> {
    shell::build(steps)?;
    steps.run("build the backend", || finish(&mut cargo(&["build", "--release", "--locked", "--package", "pixelrts"])))
}

/// What the samples say and hold is decided here.
const RECIPES: &[&str] = &["backend/src/samples.rs", "backend/src/samples", "backend/src/image/boot_file.rs"];

/// Makes the sample images when they are not there, or their recipes have changed. The stamp tells whole sets from
/// those of a cancelled run.
pub(crate) fn samples(steps: &mut Steps) -> Result<()> {
    let stamp = Path::new(SAMPLES).join(".complete");
    let made = std::fs::metadata(&stamp).and_then(|stamp| stamp.modified()).ok();
    if made.is_some() && made >= RECIPES.iter().filter_map(|recipe| shell::newest(Path::new(recipe))).max() {
        return Ok(());
    }
    steps.run("make sample images", || {
        if stamp.exists() {
            std::fs::remove_file(&stamp)?;
        }
        finish(Command::new(BINARY).args(["samples", SAMPLES]))?;
        std::fs::write(stamp, "").context("the samples' stamp")
    })
}
