//! `cargo xtask docs`: pages that are made from the code. `cargo xtask check` fails when one of them is outdated, and when
//! there is a code of a problem that only tests report.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use pixelrts_shared::ProblemCode;

const ERRORS: &str = "docs/ERRORS.md";
/// The folders whose code reports problems.
const REPORTERS: [&str; 2] = ["backend/src", "frontend/src"];

/// Writes the pages.
pub(crate) fn write() -> Result<()> {
    Ok(fs::write(ERRORS, errors())?)
}

/// Compares the pages with the code, without writing.
pub(crate) fn check() -> Result<()> {
    ensure!(fs::read_to_string(ERRORS).unwrap_or_default() == errors(), "{ERRORS} is outdated: run `cargo xtask docs`");
    let mut text = String::new();
    for folder in REPORTERS {
        read(folder.as_ref(), &mut text)?;
    }
    // Some files call the type `Code`.
    let used = |code: &ProblemCode| {
        let name = format!("Code::{code:?}");
        text.split(&name).skip(1).any(|rest| !rest.starts_with(|next: char| next.is_ascii_alphanumeric()))
    };
    let unused: Vec<_> = ProblemCode::ALL.iter().filter(|code| !used(code)).collect();
    ensure!(unused.is_empty(), "codes of problems that nothing reports: {unused:?}");
    Ok(())
}

fn read(folder: &Path, text: &mut String) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read(&path, text)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            let file = fs::read_to_string(&path)?;
            text.push_str(file.split("#[cfg(test)]").next().unwrap_or_default());
        }
    }
    Ok(())
}

const HEAD: &str = "\
# Problems

Everything that goes wrong has one shape, in the API (`application/problem+json`), on the command line, in the shell \
and in the log:

| field | what it says |
| --- | --- |
| `level` | `error`; `warn` when the work goes on; `info` when nothing is wrong |
| `code` | one of the codes below, which programs can rely on |
| `what` | one sentence for a person |
| `why` | the cause of this occurrence, with its numbers |
| `fix` | what to do about this occurrence, a command where there is one |
| `context` | technical detail, where there is some |
| `request_id` | the id of a request to the API, which is also in the backend's log |

The code decides the HTTP status of a response and the exit code of a command. This page is made from \
`shared/src/problem.rs` by `cargo xtask docs`.

| exit code | meaning |
| --- | --- |
| 0 | it worked |
| 1 | another failure |
| 2 | the command or request was wrong |
| 3 | not found |
| 4 | a failure of the network |
| 5 | verification failed |
| 6 | conflict, or busy |
| 69 | a dependency is missing |
| 77 | a permission is missing |
| 78 | the configuration is wrong |
| 130 | interrupted |
";

/// Grouped by area, the part before the full stop, in the order of the list.
fn errors() -> String {
    let area = |code: ProblemCode| code.as_str().split('.').next().unwrap_or_default();
    let mut areas: Vec<&str> = Vec::new();
    for code in ProblemCode::ALL {
        if !areas.contains(&area(*code)) {
            areas.push(area(*code));
        }
    }
    let mut page = HEAD.to_owned();
    for name in areas {
        let _ = write!(page, "\n## {name}\n");
        for code in ProblemCode::ALL.iter().filter(|code| area(**code) == name) {
            let (text, title, why, fix) = (code.as_str(), code.title(), code.why(), code.fix());
            let (status, exit) = (code.status(), code.exit_code());
            let _ = write!(
                page,
                "\n### `{text}`\n{title}. HTTP {status}, exit {exit}.\n\n**Why:** {why}\n\n**Fix:** {fix}\n"
            );
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_tests_report_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        for (name, text) in [("a.rs", "reported #[cfg(test)] tested"), ("a/tests.rs", "tested"), ("a/b.txt", "none")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let mut text = String::new();
        read(folder.path(), &mut text).unwrap();
        assert_eq!(text.trim(), "reported");
    }

    #[test]
    fn every_code_has_a_heading_and_its_numbers() {
        let page = errors();
        for code in ProblemCode::ALL {
            let heading = format!(
                "### `{}`\n{}. HTTP {}, exit {}.",
                code.as_str(),
                code.title(),
                code.status(),
                code.exit_code()
            );
            assert_eq!(page.matches(&heading).count(), 1, "{heading}");
            let row = format!("| {} |", code.exit_code());
            assert!(page.contains(&row), "no meaning of exit code {row}");
        }
    }
}
