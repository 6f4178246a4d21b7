//! `cargo xtask run`: from a clone to the shell in the browser.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};

use crate::build::{self, BINARY};
use crate::samples::{self, SAMPLES};
use crate::steps::Steps;
use crate::tools::{self, Purpose};

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Options for `pixelrts serve`, after two hyphens
    #[arg(last = true, value_name = "OPTIONS")]
    serve: Vec<String>,
}

pub(crate) fn run(steps: &mut Steps, options: &Options) -> Result<()> {
    tools::ensure(steps, Purpose::Run)?;
    build::parts(steps)?;
    if let Err(error) = samples::make(steps) {
        println!("{error:#}\nThere are no sample images, then: put your own into {SAMPLES}.");
        std::fs::create_dir_all(SAMPLES)?;
    }
    println!("==> start the backend; Ctrl-C stops it");
    let error = Command::new(BINARY).args(["serve", "--catalog", SAMPLES]).args(&options.serve).exec();
    Err(error).context(BINARY)
}
