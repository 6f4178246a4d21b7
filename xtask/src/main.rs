//! `cargo xtask TASK`: the only task runner. A task installs what it needs, says what it does, and how long it took.
//!
//! Each task is in the file of its name. What tasks share: `steps` (progress and times), `command` (other programs),
//! `tools` (finding and installing them), `samples` (images to boot). The task `image` is in
//! `container_image`, because an image is something else everywhere else.

mod advisories;
mod bench;
mod browser;
mod build;
mod check;
mod command;
mod container_image;
mod docs;
mod fuzz;
mod install;
mod run;
mod samples;
mod soak;
mod steps;
mod test;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use steps::Steps;

/// The task runner of PixelRTS
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
enum Task {
    /// Builds everything, makes sample images, starts the backend and prints the address of the shell
    Run(run::Options),
    /// Builds shell and backend into one binary, target/release/pixelrts
    Build(build::Options),
    /// Puts the program on this computer, with completions for your command-line shell, or takes it away again
    Install(install::Options),
    /// Makes the container image that `pixelrts up` starts, from this system's own packages
    Image,
    /// Runs all checks, all tests, and the stories that boot real machines in a real browser
    Test(test::Options),
    /// Runs the quick checks: format, structure, generated pages, lints, unused dependencies, licences
    Check,
    /// Looks for published security advisories about dependencies
    ///
    /// CI does not run this: the database of advisories changes by itself and must be fetched, so the result depends on
    /// the day and on the network.
    Advisories,
    /// Writes the pages that are generated from the code
    Docs,
    /// Throws hostile images at the reader, guided by coverage
    Fuzz(fuzz::Options),
    /// Measures PixelRTS beside a peer and writes docs/BENCHMARKS.md
    Bench(bench::Options),
    /// Kills downloads, mixes faults and lets many clients fetch at once, for longer than the tests do
    Soak(soak::Options),
}

fn main() -> Result<ExitCode> {
    std::env::set_current_dir(root())?;
    if let Some(outcome) = build::shell::split::stand_in() {
        return outcome;
    }
    let mut steps = Steps::new();
    match Task::parse() {
        Task::Run(options) => run::run(&mut steps, &options),
        Task::Build(options) => build::build(&mut steps, &options),
        Task::Install(options) => install::install(&mut steps, &options),
        Task::Image => container_image::image(&mut steps),
        // Its last line says what failed.
        Task::Test(options) if !test::test(&mut steps, &options)? => return Ok(ExitCode::FAILURE),
        Task::Test(_) => Ok(()),
        Task::Check => check::check(&mut steps),
        Task::Advisories => advisories::advisories(&mut steps),
        Task::Docs => docs::write(),
        Task::Fuzz(options) => fuzz::fuzz(&mut steps, &options),
        Task::Bench(options) => bench::bench(&mut steps, options),
        Task::Soak(options) => soak::soak(&mut steps, &options),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// The workspace's folder. Every path in this crate is relative to it.
fn root() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_task_is_listed_with_one_sentence() {
        let mut command = Task::command();
        for task in command.get_subcommands() {
            let about = task.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty() && !about.contains(". "), "{}: {about:?}", task.get_name());
        }
        let help = command.render_help().to_string();
        assert!(
            ["run", "build", "install", "image", "test", "check", "advisories", "docs", "fuzz", "bench", "soak"]
                .iter()
                .all(|name| help.contains(name))
        );
    }

    #[test]
    fn without_a_task_the_list_is_printed() {
        let error = Task::try_parse_from(["cargo xtask"]).unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
    }

    #[test]
    fn several_skips_can_be_accepted() {
        assert!(Task::try_parse_from("xtask test --accept-skip root --accept-skip podman".split(' ')).is_ok());
        assert!(Task::try_parse_from("xtask test --accept-skip".split(' ')).is_err());
    }
}
