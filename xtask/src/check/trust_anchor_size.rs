//! The trust anchor stays small, because what keeps the rest running must be simple enough to be right.
//!
//! Lines of code are counted, without blank lines, comments and tests.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::ranks::files_of;

/// More than this is refused.
const LIMIT: usize = 500;
const MODULES: [&str; 3] = ["supervisor", "policy/restart", "cli/up"];

pub(crate) fn check(source: &Path) -> Result<()> {
    let mut lines = 0;
    for module in MODULES {
        for path in files_of(source, module)? {
            lines += count(&fs::read_to_string(&path).with_context(|| path.display().to_string())?);
        }
    }
    println!("    {} have {lines} lines of code, {LIMIT} are too many", MODULES.join(", "));
    ensure!(lines < LIMIT, "the trust anchor has {lines} lines of code, it must have less than {LIMIT}");
    Ok(())
}

fn count(text: &str) -> usize {
    let code = text.lines().map(str::trim).take_while(|line| *line != "#[cfg(test)]");
    code.filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "//! Header.\n\nfn f() {\n    // Why.\n    g(); // how\n}\n\n#[cfg(test)]\nmod tests {\n}\n";

    #[test]
    fn code_is_counted_and_nothing_else() {
        assert_eq!(count(TEXT), 3);
    }

    #[test]
    fn all_files_of_the_modules_count_and_too_many_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["supervisor", "policy", "cli"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        for name in ["supervisor.rs", "policy/restart.rs", "cli/up.rs", "supervisor/tests.rs"] {
            fs::write(folder.path().join(name), TEXT).unwrap();
        }
        check(folder.path()).unwrap();
        fs::write(folder.path().join("supervisor/child.rs"), "x();\n".repeat(LIMIT - 9)).unwrap();
        let error = check(folder.path()).unwrap_err();
        assert!(error.to_string().contains("500 lines"), "{error}");
    }
}
