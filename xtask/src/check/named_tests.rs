//! Pages in `docs` name the test that checks a promise. This check fails when a named test does not exist, for example
//! because it was renamed: the promise would look checked, and nobody could find out by what.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::build::shell::files;

/// Where tests are.
const SOURCES: [&str; 5] = ["backend/src", "shared/src", "frontend/src", "tests/tests", "xtask/src"];

pub(crate) fn check(root: &Path) -> Result<()> {
    let mut functions = BTreeSet::new();
    for source in SOURCES {
        for path in files(&root.join(source))?.iter().filter(|path| path.extension().is_some_and(|end| end == "rs")) {
            let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
            functions.extend(defined(&text).map(str::to_owned));
        }
    }
    let mut named = 0;
    let mut faults = Vec::new();
    for path in files(&root.join("docs"))?.iter().filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let page = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        for test in tests_named(&page) {
            named += 1;
            if !functions.contains(test) {
                faults.push(format!("{}: there is no test `{test}`", path.display()));
            }
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    ensure!(named > 0, "no page names a test, so this check has lost what it checks");
    println!("    the pages name {named} tests, and all of them exist");
    Ok(())
}

/// The names of the functions that a source defines.
fn defined(source: &str) -> impl Iterator<Item = &str> {
    source.split("fn ").skip(1).filter_map(|rest| rest.split_once('(')).map(|(name, _)| name)
}

/// The tests that a page names in backquotes, with or without their module. Tests have names of four words at least.
fn tests_named(page: &str) -> impl Iterator<Item = &str> {
    let quoted = page.split('`').skip(1).step_by(2).map(|code| code.rsplit("::").next().unwrap_or(code));
    quoted.filter(|code| {
        let is_name = code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        is_name && code.matches('_').count() >= 3
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(page: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for folder in SOURCES.into_iter().chain(["docs"]) {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let source = "#[test]\nfn what_is_promised_is_kept() {}\n#[tokio::test]\nasync fn another_one_of_them() {}\n";
        fs::write(root.path().join("backend/src/a.rs"), source).unwrap();
        fs::write(root.path().join("docs/A.md"), page).unwrap();
        root
    }

    #[test]
    fn tests_that_exist_may_be_named_with_and_without_their_module() {
        let page = "| a | `a::tests::what_is_promised_is_kept`, `another_one_of_them` | `other_code` and `KEY_A_B_C` |";
        check(project(page).path()).unwrap();
    }

    #[test]
    fn a_test_that_was_renamed_is_a_fault() {
        let page = "`another_one_of_them` and `a::tests::what_was_promised_is_kept`";
        let error = check(project(page).path()).unwrap_err().to_string();
        assert!(error.contains("what_was_promised_is_kept") && !error.contains("another_one"), "{error}");
    }

    #[test]
    fn pages_that_name_no_test_are_a_fault() {
        assert!(check(project("no test").path()).is_err());
    }
}
