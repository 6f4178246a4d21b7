//! What the steps of `cargo xtask test` came to: counted, and judged at the end.
//!
//! A test that skipped says "ok" to libtest, so it is taken out of the passed ones again. A run of no test at all is a
//! failure: a filter or a feature that hides every test must not look like success. So is a test that is marked as
//! ignored, because nobody would ever notice that it does not run.

use anyhow::{Result, ensure};
use pixelrts_testing::Skip;

use crate::command::watch;
use crate::steps::Steps;

/// All steps together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    passed: usize,
    failed: usize,
    skips: Vec<Skip>,
}

/// The numbers of one step, which may start several test programs. All of them report in the way of libtest.
#[derive(Debug, Default)]
struct Run {
    passed: usize,
    failed: usize,
    ignored: usize,
    skips: Vec<Skip>,
}

impl Totals {
    /// Counts a step that passes or fails as a whole, and shows its error. True when it passed.
    pub(crate) fn step<T>(&mut self, outcome: &Result<T>) -> bool {
        match outcome {
            Ok(_) => self.passed += 1,
            Err(error) => {
                eprintln!("{error:#}");
                self.failed += 1;
            }
        }
        outcome.is_ok()
    }

    /// Counts a step that cannot be done on this computer, as a test that skips.
    pub(crate) fn skip(&mut self, name: &str, reason: String) {
        self.skips.push(Skip { name: name.to_owned(), reason });
    }

    /// Runs a command that runs tests, shows its output, and counts its tests.
    pub(crate) fn tests(&mut self, steps: &mut Steps, name: &str, command: &mut std::process::Command) {
        let mut run = Run::default();
        let outcome = steps.run(name, || {
            let succeeded = watch(command, |line| run.read(line))?;
            run.check(succeeded)
        });
        if let Err(error) = outcome {
            eprintln!("{error:#}");
            // The tests that ran may all have passed: then it is the step that failed.
            run.failed = run.failed.max(1);
        }
        self.passed += run.passed.saturating_sub(run.skips.len());
        self.failed += run.failed;
        self.skips.extend(run.skips);
    }

    /// Prints what was skipped, then the counts alone on the last line. True when everything passed, and what was
    /// skipped is exactly what was accepted.
    pub(crate) fn print(&self, accepted: &[String]) -> bool {
        for skip in &self.skips {
            println!("{skip}");
        }
        let complaints = self.complaints(accepted);
        for complaint in &complaints {
            println!("{complaint}");
        }
        println!("{self}");
        self.failed == 0 && complaints.is_empty()
    }

    /// Where the skips differ from the accepted ones.
    fn complaints(&self, accepted: &[String]) -> Vec<String> {
        let mut refused: Vec<&str> = self.skips.iter().map(|skip| &*skip.name).collect();
        refused.retain(|name| !accepted.iter().any(|accepted| accepted == name));
        refused.sort_unstable();
        refused.dedup();
        let refused = refused.into_iter().map(|name| {
            format!("Tests were skipped that should have run; to accept this: cargo xtask test --accept-skip {name}")
        });
        let unused = accepted.iter().filter(|accepted| !self.skips.iter().any(|skip| skip.name == **accepted));
        let unused = unused.map(|name| format!("Nothing was skipped for {name}: leave out --accept-skip {name}"));
        refused.chain(unused).collect()
    }
}

/// The closing line.
impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skips.len())
    }
}

impl Run {
    fn read(&mut self, line: &str) {
        self.skips.extend(Skip::read(line));
        // As in "test result: ok. 3 passed; 0 failed; 0 ignored; ...", one per test program.
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let words: Vec<&str> = result.split([' ', ';']).collect();
        for pair in words.windows(2) {
            let [count, what] = pair else { continue };
            let Ok(count) = count.parse::<usize>() else { continue };
            match *what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }

    fn check(&self, succeeded: bool) -> Result<()> {
        ensure!(self.failed == 0, "{} tests failed", self.failed);
        ensure!(succeeded, "the tests could not be built, or a test program ended before it could report");
        ensure!(self.passed > 0, "no test ran");
        ensure!(self.ignored == 0, "{} tests are marked as ignored; a test that cannot run here skips", self.ignored);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// The totals after one step whose tests print this, and end with this code.
    fn after(output: &str, code: u8) -> Totals {
        let mut totals = Totals::default();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("cat <<'END'\n{output}\nEND\nexit {code}")]);
        totals.tests(&mut Steps::new(), "a step", &mut command);
        totals
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn results_of_several_programs_add_up() {
        let output = "running 3 tests\n\
            test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
            test result: FAILED. 7 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.01s";
        assert_eq!(after(output, 101).to_string(), "10 passed, 2 failed, 0 skipped");
    }

    #[test]
    fn the_line_of_a_browser_run_is_counted_too() {
        let output = "test result: ok. 5 passed; 0 failed; 0 ignored; 0 filtered out; finished in 0.12s";
        assert_eq!(after(output, 0).to_string(), "5 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn a_skipped_test_has_not_passed_although_libtest_says_ok() {
        let output = "test a ... ok\n\nSKIPPED root: only root can\n\
            test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        let totals = after(output, 0);
        assert_eq!(totals.to_string(), "2 passed, 0 failed, 1 skipped");
        assert!(!totals.print(&[]), "nobody accepted it");
        assert!(totals.print(&names(&["root"])));
    }

    #[test]
    fn a_skip_is_accepted_by_its_name_and_an_accepted_name_must_skip() {
        let skips = ["SKIPPED root: x", "SKIPPED podman: y", "SKIPPED root: z"];
        let output = format!("{}\ntest result: ok. 9 passed; 0 failed;", skips.join("\n"));
        let totals = after(&output, 0);
        assert!(totals.print(&names(&["root", "podman"])));
        let complaints = totals.complaints(&names(&["root"]));
        assert!(matches!(&complaints[..], [one] if one.ends_with("--accept-skip podman")), "{complaints:?}");
        let complaints = totals.complaints(&names(&["root", "podman", "kvm"]));
        assert!(matches!(&complaints[..], [one] if one.contains("Nothing was skipped for kvm")), "{complaints:?}");
    }

    #[test]
    fn a_step_that_ran_no_test_fails() {
        let output = "running 0 tests\ntest result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 4 filtered out";
        assert_eq!(after(output, 0).to_string(), "0 passed, 1 failed, 0 skipped");
        assert_eq!(after("", 0).to_string(), "0 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn a_test_that_is_ignored_fails_the_step() {
        let output = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(after(output, 0).to_string(), "3 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn a_program_that_dies_before_it_reports_is_a_failure() {
        let output = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(after(output, 101).to_string(), "3 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn a_step_that_cannot_be_done_here_is_skipped_and_must_be_accepted() {
        let mut totals = Totals::default();
        totals.step(&Ok(()));
        totals.skip("podman", "it starts nothing".to_owned());
        assert_eq!(totals.to_string(), "1 passed, 0 failed, 1 skipped");
        assert!(!totals.print(&[]) && totals.print(&names(&["podman"])));
    }

    #[test]
    fn steps_that_are_not_tests_count_as_one_each() {
        let mut totals = Totals::default();
        assert!(totals.step(&Ok(())));
        assert!(!totals.step::<()>(&Err(anyhow::anyhow!("a reason"))));
        assert_eq!(totals.to_string(), "1 passed, 1 failed, 0 skipped");
        assert!(!totals.print(&[]));
    }
}
