//! `cargo xtask test`: every check and every test, from the format of the code to a browser that boots a machine.
//!
//! A step that fails does not hide the next ones. The last line counts what passed, what failed and what was skipped.

mod totals;

use anyhow::Result;

use crate::build::{self, BINARY};
use crate::check::CHECKS;
use crate::command::cargo;
use crate::container_image::{self, Containers};
use crate::samples::{self, PACKAGES, SAMPLES};
use crate::steps::Steps;
use crate::tools::{self, Purpose};
use crate::{browser, fuzz};
use totals::Totals;

/// Where stories leave their screenshots.
const STORIES: &str = "target/stories";

/// Both steps that run tests name the whole workspace: otherwise cargo would choose other features for the second one,
/// and compile most dependencies again.
const TEST: &[&str] = &["test", "--workspace", "--locked", "--no-fail-fast"];

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Pass although tests skip for this reason, as in root or podman; can be given several times
    #[arg(long, value_name = "NAME")]
    accept_skip: Vec<String>,
}

/// True when nothing failed, and only what is accepted was skipped.
pub(crate) fn test(steps: &mut Steps, options: &Options) -> Result<bool> {
    tools::ensure(steps, Purpose::Test)?;
    let mut totals = Totals::default();
    for (name, work) in CHECKS {
        totals.step(&steps.run(name, work));
    }
    totals.tests(steps, "unit tests", cargo(TEST).args(["--lib", "--bins"]));
    match browser::tests() {
        Ok(mut tests) => totals.tests(steps, "tests in a browser", &mut tests),
        Err(error) => drop(totals.step::<()>(&Err(error))),
    }
    totals.step(&fuzz::briefly(steps));
    if totals.step(&build::parts(steps)) && totals.step(&samples::make(steps)) {
        tell_stories(steps, &mut totals)?;
    }
    steps.print_timings();
    Ok(totals.print(&options.accept_skip))
}

fn tell_stories(steps: &mut Steps, totals: &mut Totals) -> Result<()> {
    let root = crate::root();
    std::fs::create_dir_all(STORIES)?;
    let mut stories = cargo(TEST);
    for (name, path) in [("BIN", BINARY), ("SAMPLES", SAMPLES), ("PACKAGES", PACKAGES), ("STORIES", STORIES)] {
        stories.env(format!("PIXELRTS_{name}"), root.join(path));
    }
    // The stories always use podman, whatever else is installed.
    match container_image::make_where_possible(steps, "podman") {
        // The stories that need containers skip too, each for itself.
        Ok(Containers::CannotRun(why)) => {
            totals.skip("podman", format!("podman can start no container here: {why}"));
        }
        outcome => {
            totals.step(&outcome);
            if let Ok(Containers::Run(Some(settings))) = outcome {
                stories.env("CONTAINERS_CONF", settings);
            }
        }
    }
    // One at a time: guests and a browser on two cores would only wait for each other.
    totals.tests(steps, "stories", stories.args(["--test", "*", "--", "--test-threads=1"]));
    Ok(())
}
