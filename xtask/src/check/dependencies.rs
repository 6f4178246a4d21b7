//! Dependencies that are declared and never used: each costs compile time and is one more crate to trust.
//!
//! A crate counts as used when the sources of the package name it in a path (`serde::Serialize`, `use clap;`), or when
//! a feature of the package switches something on in it. Comments do not count.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Where a package may have sources.
const SOURCES: [&str; 5] = ["src", "tests", "benches", "examples", "build.rs"];

/// Fails when a package of the workspace at `root` declares a dependency that it does not use, or when the workspace
/// declares one that no package asks for.
pub(crate) fn check(root: &Path) -> Result<()> {
    let read = |path: &Path| fs::read_to_string(path).with_context(|| path.display().to_string());
    let workspace = read(&root.join("Cargo.toml"))?;
    let mut faults = Vec::new();
    let mut wanted = Vec::new();
    for member in members(&workspace) {
        let folder = root.join(member);
        let manifest = read(&folder.join("Cargo.toml"))?;
        let mut code = String::new();
        for place in SOURCES {
            collect(&folder.join(place), &mut code)?;
        }
        let declared = declared(&manifest, |section| section.ends_with("dependencies"));
        let unused = declared.iter().filter(|name| !is_used(name, &code) && !is_switched(name, &manifest));
        faults.extend(unused.map(|name| format!("{member}/Cargo.toml: `{name}` is declared and never used")));
        wanted.extend(declared.into_iter().map(str::to_owned));
    }
    let shared = declared(&workspace, |section| section == "workspace.dependencies");
    let unused = shared.iter().filter(|name| !wanted.iter().any(|wanted| wanted == *name));
    faults.extend(unused.map(|name| format!("Cargo.toml: no package asks for the workspace's `{name}`")));
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(())
}

fn members(workspace: &str) -> Vec<&str> {
    let list = workspace.split_once("\nmembers = [").and_then(|(_, rest)| rest.split_once(']'));
    list.map(|(list, _)| list.split('"').skip(1).step_by(2).collect()).unwrap_or_default()
}

/// The keys of the sections whose name satisfies `is_wanted`. A key begins its line: what is indented continues a value.
fn declared(manifest: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<&str> {
    let mut wanted = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            wanted = is_wanted(section);
        } else if wanted && line.starts_with(|letter: char| letter.is_ascii_alphanumeric()) {
            names.extend(line.split(['.', ' ', '=']).next());
        }
    }
    names
}

/// Adds the code below `path` without its comments. Links are followed: the fuzzer's package has some of the backend's.
fn collect(path: &Path, code: &mut String) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), code)?;
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") && path.is_file() {
        for line in fs::read_to_string(path).with_context(|| path.display().to_string())?.lines() {
            code.push_str(line.split("//").next().unwrap_or_default());
            code.push('\n');
        }
    }
    Ok(())
}

/// Whether the code has the crate at the beginning of a path.
fn is_used(dependency: &str, code: &str) -> bool {
    let name = dependency.replace('-', "_");
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(&name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        let is_root = !before.ends_with(|letter| is_part(letter) || matches!(letter, ':' | '.' | '"'));
        let imported = before.ends_with("use ") && after.starts_with([';', ' ']);
        is_root && (after.starts_with("::") || imported)
    })
}

/// Whether a feature of the package switches on a feature of this dependency: then it is there for that alone.
fn is_switched(dependency: &str, manifest: &str) -> bool {
    manifest.contains(&format!("\"{dependency}/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKSPACE: &str = "[workspace]\nresolver = \"3\"\nmembers = [\"one\", \"nested/two\"]\n\n\
        [workspace.dependencies]\nserde = \"1\"\nserde_json = { version = \"1\" }\n";
    const ONE: &str = "[package]\nname = \"one\"\n\n[dependencies]\nserde.workspace = true\n\n\
        [target.'cfg(unix)'.dependencies]\nweb-sys = { version = \"1\", features = [\n    \"Window\",\n] }\n";
    const TWO: &str = "[package]\nname = \"two\"\n\n[features]\nfast = [\"zlib-rs/fast\"]\n\n\
        [dependencies]\nserde_json.workspace = true\nzlib-rs = { version = \"1\", optional = true }\n";

    /// The faults of a workspace of two packages with these files.
    fn faults(files: &[(&str, &str)]) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        let good = [
            ("Cargo.toml", WORKSPACE),
            ("one/Cargo.toml", ONE),
            ("one/src/lib.rs", "use serde::Serialize;\n"),
            ("one/src/deep/window.rs", "fn f() -> web_sys::Window {\n"),
            ("nested/two/Cargo.toml", TWO),
            ("nested/two/tests/all.rs", "    let x = serde_json::to_vec(y);\n"),
        ];
        for (name, text) in good.iter().chain(files) {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        check(root.path()).err().map(|error| error.to_string().lines().map(str::to_owned).collect()).unwrap_or_default()
    }

    #[test]
    fn a_workspace_that_uses_all_it_declares_has_no_faults() {
        assert_eq!(faults(&[]), [""; 0]);
    }

    #[test]
    fn a_dependency_that_no_source_names_is_a_fault() {
        let fault = "one/Cargo.toml: `serde` is declared and never used";
        for code in
            ["", "// serde::Serialize\n", "use crate::serde::X;\n", "use serde_json::Value;\n", "my_serde::x();\n"]
        {
            assert_eq!(faults(&[("one/src/lib.rs", code)]), [fault], "{code}");
        }
    }

    #[test]
    fn a_dependency_of_a_target_counts_too() {
        let fault = "one/Cargo.toml: `web-sys` is declared and never used";
        assert_eq!(faults(&[("one/src/deep/window.rs", "")]), [fault]);
    }

    #[test]
    fn a_dependency_that_no_feature_switches_must_be_named() {
        let manifest = TWO.replace("zlib-rs/fast", "dep:zlib-rs");
        assert_eq!(
            faults(&[("nested/two/Cargo.toml", &manifest)]),
            ["nested/two/Cargo.toml: `zlib-rs` is declared and never used"]
        );
    }

    #[test]
    fn a_dependency_of_the_workspace_that_no_package_asks_for_is_a_fault() {
        let workspace = format!("{WORKSPACE}png = \"1\"\n");
        assert_eq!(faults(&[("Cargo.toml", &workspace)]), ["Cargo.toml: no package asks for the workspace's `png`"]);
    }
}
