//! How a test says that it could not run here.
//!
//! libtest knows only tests that passed, failed or are ignored from the start, and it hides what a passing test prints.
//! So a skip is a line that goes past this capture, straight to standard output. `cargo xtask test` reads these lines,
//! counts the tests as skipped instead of passed, and fails unless the skip was accepted by its name.

use std::fmt;
use std::io::Write;

/// What begins the line.
const MARK: &str = "SKIPPED ";

/// A test that could not run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// What this computer lacks, as `cargo xtask test --accept-skip NAME` takes it: `root`, `podman`.
    pub name: String,
    /// A sentence for the person who reads the result.
    pub reason: String,
}

impl Skip {
    /// The skip that a line of a test's output reports, if it reports one.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let (name, reason) = line.strip_prefix(MARK)?.split_once(": ")?;
        is_name(name).then(|| Self { name: name.to_owned(), reason: reason.to_owned() })
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A reason is often the message of a program: it must stay one line.
        let reason = self.reason.split_whitespace().collect::<Vec<_>>().join(" ");
        write!(f, "{MARK}{}: {reason}", self.name)
    }
}

/// Reports that this test cannot run here; the test should return right after.
///
/// # Panics
/// When the name is not made of lower-case letters, digits and hyphens.
pub fn skip(name: &str, reason: &str) {
    assert!(is_name(name), "{name:?} is not a name that a person can accept");
    let skip = Skip { name: name.to_owned(), reason: reason.to_owned() };
    // In one piece, and on a line of its own: libtest may be in the middle of a line when several tests run at once.
    let line = format!("\n{skip}\n");
    // A skip that cannot be reported would count as passed.
    std::io::stdout().lock().write_all(line.as_bytes()).expect("standard output can be written to");
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_on_one_line() {
        let skip = Skip { name: "podman".into(), reason: "it says:\n  no such container: x\n".into() };
        let line = skip.to_string();
        assert_eq!(line, "SKIPPED podman: it says: no such container: x");
        let read = Skip { name: "podman".into(), reason: "it says: no such container: x".into() };
        assert_eq!(Skip::read(&line), Some(read));
    }

    #[test]
    fn other_lines_report_no_skip() {
        for line in ["test a ... ok", "SKIPPED", "SKIPPED root", "SKIPPED A b: c", "a SKIPPED root: b", "SKIPPED : b"] {
            assert_eq!(Skip::read(line), None, "{line}");
        }
    }

    #[test]
    #[should_panic(expected = "not a name")]
    fn a_name_that_cannot_be_accepted_is_refused() {
        skip("needs root", "");
    }
}
