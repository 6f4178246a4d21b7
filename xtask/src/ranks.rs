//! Modules of the backend stand in ranks, and a module uses only its own rank and lower ones.
//!
//! The ranks are read from the header of `lib.rs`, so that the picture people read and the rule are one; the table of
//! the page about architecture must be the same. Every `crate::x` of every file is looked at, in groups too; comments
//! are not code. Neighbours of one rank may use each other, but not in a circle. Tests are exempt: they may set a
//! stage with whatever they need.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

type Ranks = BTreeMap<String, u32>;

/// A use of module `to` in a file of module `from`.
#[derive(Debug, PartialEq, Eq)]
struct Use {
    to: String,
    line: usize,
}

pub(crate) fn check(source: &Path, page: &Path) -> Result<()> {
    let library = fs::read_to_string(source.join("lib.rs"))?;
    let ranks = read_ranks(&library);
    let table = read_table(&fs::read_to_string(page)?);
    ensure!(table == ranks, "{}: its table of ranks has {table:?}, lib.rs has {ranks:?}", page.display());
    for module in declared(&library) {
        ensure!(ranks.contains_key(module), "lib.rs: its header gives `{module}` no rank");
    }
    let mut faults = Vec::new();
    let mut neighbours: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, rank) in &ranks {
        for path in files_of(source, module)? {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            for Use { to, line } in uses(&text) {
                match ranks.get(&to) {
                    Some(other) if other > rank => faults.push(format!(
                        "{}:{line}: `{module}` (rank {rank}) uses `{to}` (rank {other})",
                        path.display()
                    )),
                    Some(other) if other == rank && to != *module => {
                        neighbours.entry(module.clone()).or_default().insert(to);
                    }
                    _ => {}
                }
            }
        }
    }
    faults.extend(circle(&neighbours).map(|path| format!("neighbours in a circle: {}", path.join(" -> "))));
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(())
}

/// `//! 0 `image` `blob`, 1 `cache`.` gives image 0, blob 0, cache 1. What stands before the first number is prose.
fn read_ranks(library: &str) -> Ranks {
    let mut ranks = Ranks::new();
    let mut rank = None;
    for word in library.lines().filter_map(|line| line.strip_prefix("//!")).flat_map(str::split_whitespace) {
        let word = word.trim_end_matches([',', '.', ';']);
        if let Ok(number) = word.parse() {
            rank = Some(number);
        } else if let (Some(rank), Some(name)) = (rank, word.strip_prefix('`').and_then(|word| word.strip_suffix('`')))
        {
            ranks.insert(name.to_owned(), rank);
        }
    }
    ranks
}

/// The rows that begin with a number: `| 5 | `app`, `cli` | ... |`.
fn read_table(page: &str) -> Ranks {
    let mut ranks = Ranks::new();
    for row in page.lines().filter_map(|line| line.strip_prefix("| ")) {
        let mut cells = row.split(" | ");
        let (Some(Ok(rank)), Some(names)) = (cells.next().map(str::parse), cells.next()) else { continue };
        ranks.extend(names.split('`').skip(1).step_by(2).map(|name| (name.to_owned(), rank)));
    }
    ranks
}

fn declared(library: &str) -> impl Iterator<Item = &str> {
    library.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
}

/// `x.rs` and all below `x/`, without `tests.rs`.
pub(crate) fn files_of(source: &Path, module: &str) -> Result<Vec<std::path::PathBuf>> {
    let mut files = vec![source.join(format!("{module}.rs"))];
    let mut folders = vec![source.join(module)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                files.push(path);
            }
        }
    }
    Ok(files)
}

fn uses(text: &str) -> Vec<Use> {
    // By our own rule tests stand at the end of a file.
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code: String = text.lines().map(|line| line.split("//").next().unwrap_or_default().to_owned() + "\n").collect();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_') {
            continue;
        }
        let start = at + "crate::".len();
        let line = |offset: usize| code[..offset].matches('\n').count() + 1;
        let mut depth = 0_usize;
        let mut fresh = true;
        for (offset, letter) in code[start..].char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                ',' if depth == 1 => fresh = true,
                letter if letter.is_whitespace() => continue,
                _ if fresh && depth <= 1 => {
                    let to = identifier(&code[start + offset..]);
                    found.push(Use { to, line: line(start + offset) });
                    fresh = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

/// A way from a module back to itself.
fn circle(neighbours: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn walk(at: &str, path: &mut Vec<String>, neighbours: &BTreeMap<String, BTreeSet<String>>) -> bool {
        let seen = path.iter().any(|module| module == at);
        path.push(at.to_owned());
        if seen || neighbours.get(at).into_iter().flatten().any(|next| walk(next, path, neighbours)) {
            return true;
        }
        path.pop();
        false
    }
    neighbours.keys().find_map(|start| {
        let mut path = Vec::new();
        walk(start, &mut path, neighbours).then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "//! Text with `code`:\n//! 0 `low` `near`,\n//! 1 `high`.\n\npub mod low;\nmod near;\npub mod high;\n";

    const PAGE: &str = "| rank | module |\n| --- | --- |\n| 0 | `low`, `near` | x |\n| 1 | `high` | uses `low` |\n";

    fn backend(files: &[(&str, &str)]) -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("page.md"), PAGE).unwrap();
        fs::create_dir(folder.path().join("low")).unwrap();
        for (name, text) in [("lib.rs", HEADER), ("low.rs", ""), ("near.rs", ""), ("high.rs", "")].iter().chain(files) {
            fs::write(folder.path().join(name), text).unwrap();
        }
        check(folder.path(), &folder.path().join("page.md"))
    }

    #[test]
    fn downward_and_beside_is_allowed() {
        backend(&[("high.rs", "use crate::low::X;\nuse crate::{near, low};"), ("low.rs", "use crate::near::Y;")])
            .unwrap();
    }

    #[test]
    fn upward_is_refused_with_its_place() {
        let error =
            backend(&[("low/inner.rs", "//! crate::high in prose is fine\n\nuse crate::high::X;")]).unwrap_err();
        assert!(error.to_string().ends_with("low/inner.rs:3: `low` (rank 0) uses `high` (rank 1)"), "{error}");
        backend(&[("low.rs", "use crate::{\n    near::{a, b},\n    high,\n};")]).unwrap_err();
        backend(&[("low.rs", "fn f() -> crate::high::X { todo!() }")]).unwrap_err();
    }

    #[test]
    fn tests_may_use_everything() {
        backend(&[("low/tests.rs", "use crate::high::X;")]).unwrap();
        backend(&[("low.rs", "use crate::near;\n\n#[cfg(test)]\nmod tests {\n    use crate::high;\n}")]).unwrap();
    }

    #[test]
    fn a_circle_of_neighbours_is_refused() {
        let error = backend(&[("low.rs", "use crate::near;"), ("near.rs", "use crate::low;")]).unwrap_err();
        assert!(error.to_string().contains("low -> near -> low"), "{error}");
    }

    #[test]
    fn every_module_needs_a_rank() {
        let error = backend(&[("lib.rs", &format!("{HEADER}pub mod other;"))]).unwrap_err();
        assert!(error.to_string().contains("`other`"), "{error}");
    }

    #[test]
    fn the_page_must_say_the_same() {
        let error = backend(&[("page.md", &PAGE.replace("`low`, ", ""))]).unwrap_err();
        assert!(error.to_string().contains("table of ranks"), "{error}");
    }

    #[test]
    fn only_the_first_names_of_a_group_are_modules() {
        let found = uses("use crate::{a::{b, c}, d};\nuse pixelcrate::e;\nlet x = crate::f(g, h);");
        let names: Vec<_> = found.iter().map(|found| (found.to.as_str(), found.line)).collect();
        assert_eq!(names, [("a", 1), ("d", 1), ("f", 3)]);
    }
}
