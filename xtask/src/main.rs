//! `cargo xtask`: the only task runner. It installs what a task needs, says what it does and how long it took.

mod advisories;
mod bench;
mod check;
mod command;
mod dependencies;
mod docs;
mod fuzz;
mod image;
mod lines;
mod ranks;
mod run;
mod shell;
mod steps;
mod test;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use steps::Steps;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The task runner of PixelRTS")]
enum Task {
    /// Install what is missing, build everything, make sample images, start the backend and print its URL
    Run {
        /// Passed on to `pixelrts serve`
        #[arg(last = true)]
        serve: Vec<String>,
    },
    /// Build shell and backend into one binary, `target/release/pixelrts`
    Build,
    /// Make the container image of the backend, from this system's packages, for `pixelrts up`
    Image,
    /// Install what tests need, then check, test, and run the stories against the real binary
    Test,
    /// Format, module ranks, made pages, clippy for the computer and for the browser, unused dependencies, licences
    Check,
    /// Look for published security advisories about our dependencies. CI does not run this: the database of advisories
    /// changes by itself and must be fetched, so the result depends on the day and on the network
    Advisories,
    /// Write the pages that are made from the code: docs/ERRORS.md
    Docs,
    /// Hostile images against the reader, guided by coverage; docs/SECURITY.md
    Fuzz(fuzz::Fuzz),
    /// Measure beside a peer in the same run, and write docs/BENCHMARKS.md
    Bench(bench::Wanted),
}

fn main() -> Result<ExitCode> {
    std::env::set_current_dir(root())?;
    let mut steps = Steps::new();
    match Task::parse() {
        Task::Run { serve } => run::run(&mut steps, &serve),
        Task::Build => run::build(&mut steps),
        Task::Image => image::image(&mut steps),
        // Its last line says what failed.
        Task::Test => return Ok(if test::test(&mut steps)? { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        Task::Check => check::check(&mut steps),
        Task::Advisories => advisories::advisories(&mut steps),
        Task::Fuzz(options) => fuzz::fuzz(&mut steps, &options),
        Task::Docs => docs::write(),
        Task::Bench(wanted) => bench::bench(&mut steps, wanted),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// The workspace's folder. Every path in this crate is relative to it.
fn root() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path
}
