//! `cargo xtask test`: everything the project can say about itself, from format to a browser that boots a machine.
//!
//! A step that fails does not hide the next ones. The last line counts what passed and what failed.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::check::CHECKS;
use crate::command::{cargo, watch};
use crate::run::{BINARY, SAMPLES, build_parts, samples};
use crate::steps::Steps;
use crate::tools::{self, Purpose};
use crate::{fuzz, image};

/// Where stories leave their screenshots.
const STORIES: &str = "target/stories";

/// What the runs said.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    passed: usize,
    failed: usize,
    /// Reasons, one per test that could not run here.
    skipped: Vec<String>,
}

/// True: nothing failed.
pub(crate) fn test(steps: &mut Steps) -> Result<bool> {
    tools::ensure(steps, Purpose::Test)?;
    let mut totals = Totals::default();
    for (name, work) in CHECKS {
        totals.count(&steps.run(name, work));
    }
    totals.tests(steps, "unit tests", &mut cargo(&["test", "--workspace", "--exclude", "pixelrts-tests"]), &[]);
    totals.count(&fuzz::briefly(steps));
    if totals.count(&build_parts(steps)) && totals.count(&samples(steps)) {
        let root = crate::root();
        std::fs::create_dir_all(STORIES)?;
        let mut stories = cargo(&["test", "--package", "pixelrts-tests"]);
        for (name, path) in [("BIN", BINARY), ("SAMPLES", SAMPLES), ("STORIES", STORIES)] {
            stories.env(format!("PIXELRTS_{name}"), root.join(path));
        }
        // The stories run it there, whatever else is installed.
        let containers = image::make(steps, "podman");
        totals.count(&containers);
        if let Ok(Some(settings)) = containers {
            stories.env("CONTAINERS_CONF", settings);
        }
        // One at a time: guests and a browser on two cores would only wait for each other.
        totals.tests(steps, "stories", &mut stories, &["--test-threads=1"]);
    }
    steps.print_timings();
    totals.print();
    Ok(totals.failed == 0)
}

impl Totals {
    /// A step that passes or fails as a whole. True: it passed.
    fn count<T>(&mut self, step: &Result<T>) -> bool {
        match step {
            Ok(_) => self.passed += 1,
            Err(error) => {
                eprintln!("{error:#}");
                self.failed += 1;
            }
        }
        step.is_ok()
    }

    /// A run of libtest, whose output is shown and counted.
    fn tests(&mut self, steps: &mut Steps, name: &str, command: &mut Command, harness: &[&str]) {
        let before = self.failed;
        let run = steps.run(name, || {
            let command = command.args(["--locked", "--no-fail-fast", "--"]).args(harness);
            let good = watch(command, |line| self.read(line))?;
            ensure!(good, "not all of it passed");
            Ok(())
        });
        if let Err(error) = run {
            eprintln!("{error:#}");
            // It did not compile, or a test program died before it could count.
            if self.failed == before {
                self.failed += 1;
            }
        }
    }

    fn read(&mut self, line: &str) {
        if let Some(reason) = line.strip_prefix("SKIPPED: ") {
            self.skipped.push(reason.to_owned());
        }
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let count = |what: &str| {
            let words: Vec<&str> = result.split([' ', ';']).collect();
            let at = words.iter().position(|word| *word == what).unwrap_or_default();
            at.checked_sub(1).and_then(|before| words[before].parse().ok()).unwrap_or(0_usize)
        };
        self.passed += count("passed");
        self.failed += count("failed");
    }

    /// The closing line, alone on its line. A skipped test says "ok" to libtest, but nothing passed.
    fn print(&self) {
        for reason in &self.skipped {
            println!("SKIPPED: {reason}");
        }
        println!("{} passed, {} failed", self.passed.saturating_sub(self.skipped.len()), self.failed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_programs_add_up() {
        let mut totals = Totals::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "SKIPPED: classic fixture: no folder",
            "test result: FAILED. 7 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.01s",
        ] {
            totals.read(line);
        }
        assert_eq!((totals.passed, totals.failed), (10, 2));
        assert_eq!(totals.skipped, ["classic fixture: no folder"]);
    }

    #[test]
    fn a_program_that_dies_uncounted_is_a_failure() {
        let mut totals = Totals::default();
        totals.tests(&mut Steps::new(), "none", &mut Command::new("false"), &[]);
        assert_eq!(totals.failed, 1);
    }
}
