//! Modules of the backend stand in ranks, and a module uses only its own rank and lower ones; and no two modules use
//! each other in a circle, neither at the top nor within a folder.
//!
//! The ranks are read from the header of `lib.rs`, so that the picture people read and the rule are one; the table of
//! the page about architecture must be the same. A folder counts as one module for those beside it: what any file
//! below it mentions, it uses. A module may use items of the module around it, and that one uses its children: together
//! they are one thing. Tests are exempt: they may set a stage with whatever they need.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Result, bail, ensure};

use super::source::{Crate, Mention, ModulePath, Target};

type Ranks = BTreeMap<String, u32>;

/// Which modules use which, and where; both stand in the same module.
type Uses = BTreeMap<ModulePath, BTreeMap<ModulePath, String>>;

pub(crate) fn check(source: &Path, page: &Path) -> Result<()> {
    let library = fs::read_to_string(source.join("lib.rs"))?;
    let ranks = read_ranks(&library);
    let table = read_table(&fs::read_to_string(page)?);
    ensure!(table == ranks, "{}: its table of ranks has {table:?}, lib.rs has {ranks:?}", page.display());
    let code = Crate::read(source)?;
    for (module, _) in code.modules() {
        if let [module] = &module[..] {
            ensure!(ranks.contains_key(module), "lib.rs: its header gives `{module}` no rank");
        }
    }
    let uses = uses(&code);
    let mut faults = Vec::new();
    for (module, used) in uses.iter().filter(|(module, _)| module.len() == 1) {
        let rank = |module: &ModulePath| ranks.get(&module[0]).copied().unwrap_or(u32::MAX);
        for (other, place) in used.iter().filter(|(other, _)| rank(other) > rank(module)) {
            let (module, other, rank, above) = (&module[0], &other[0], rank(module), rank(other));
            faults.push(format!("{place}: `{module}` (rank {rank}) uses `{other}` (rank {above})"));
        }
    }
    faults.extend(circles(&uses));
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(())
}

/// For a crate without ranks: no two of its modules use each other in a circle, neither at the top nor within a folder.
pub(crate) fn check_circles(source: &Path) -> Result<()> {
    let faults = circles(&uses(&Crate::read(source)?));
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
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

/// What a module uses of those outside of it is used by each module around it, up to the one that holds both.
fn uses(code: &Crate) -> Uses {
    let mut uses = Uses::new();
    for (module, found) in code.modules() {
        for (Mention { line, .. }, target) in code.targets(module) {
            let (Target::Module(to) | Target::Foreign { through: Some(to), .. }) = target else { continue };
            let (from, to) = (code.file_module(module), code.file_module(&to));
            let shared = from.iter().zip(to).take_while(|(one, other)| one == other).count();
            // One of them is around the other.
            if shared == from.len() || shared == to.len() {
                continue;
            }
            let place = format!("{}:{line}", found.file.display());
            let used = uses.entry(from[..=shared].to_vec()).or_default();
            used.entry(to[..=shared].to_vec()).or_insert(place);
        }
    }
    uses
}

/// For each group of modules that all use each other, directly or not, one way around, with the places.
fn circles(uses: &Uses) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut done = BTreeSet::new();
    for start in uses.keys() {
        if done.contains(start) {
            continue;
        }
        if let Some(way) = way_back(start, uses) {
            let steps = way.windows(2).map(|step| {
                let place = &uses[&step[0]][&step[1]];
                format!("`{}` uses `{}` ({place})", step[0].join("::"), step[1].join("::"))
            });
            found.push(format!("modules in a circle: {}", steps.collect::<Vec<_>>().join(", ")));
            done.extend(way);
        }
    }
    found
}

/// The shortest way from a module back to itself.
fn way_back(start: &ModulePath, uses: &Uses) -> Option<Vec<ModulePath>> {
    let mut ways = std::collections::VecDeque::from([vec![start.clone()]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        let at = way.last()?;
        for next in uses.get(at).into_iter().flat_map(BTreeMap::keys) {
            let longer = [&way[..], std::slice::from_ref(next)].concat();
            if next == start {
                return Some(longer);
            }
            if seen.insert(next) {
                ways.push_back(longer);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::crate_of;
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
        let inner = "//! crate::high in prose is fine\n\nuse crate::high::X;";
        let error = backend(&[("low.rs", "mod inner;"), ("low/inner.rs", inner)]).unwrap_err();
        assert!(error.to_string().ends_with("low/inner.rs:3: `low` (rank 0) uses `high` (rank 1)"), "{error}");
        backend(&[("low.rs", "use crate::{\n    near::{a, b},\n    high,\n};")]).unwrap_err();
        backend(&[("low.rs", "fn f() -> crate::high::X { todo!() }")]).unwrap_err();
        backend(&[("low.rs", "mod inner;"), ("low/inner.rs", "use super::super::high::X;")]).unwrap_err();
    }

    #[test]
    fn tests_may_use_everything() {
        let own = "use crate::near;\n\n#[cfg(test)]\nmod tests;";
        backend(&[("low.rs", own), ("low/tests.rs", "use crate::high::X;")]).unwrap();
        backend(&[("low.rs", "use crate::near;\n\n#[cfg(test)]\nmod tests {\n    use crate::high;\n}")]).unwrap();
    }

    #[test]
    fn a_circle_at_the_top_is_refused() {
        let error = backend(&[("low.rs", "use crate::near;"), ("near.rs", "use crate::low;")]).unwrap_err();
        assert!(error.to_string().contains("`low` uses `near`") && error.to_string().contains("low.rs:1"), "{error}");
    }

    #[test]
    fn every_module_needs_a_rank() {
        let error = backend(&[("lib.rs", &format!("{HEADER}pub mod other;")), ("other.rs", "")]).unwrap_err();
        assert!(error.to_string().contains("`other`"), "{error}");
    }

    #[test]
    fn the_page_must_say_the_same() {
        let error = backend(&[("page.md", &PAGE.replace("`low`, ", ""))]).unwrap_err();
        assert!(error.to_string().contains("table of ranks"), "{error}");
    }

    /// The circles among the files of a module `m` whose own text is the first one.
    fn within(m: &str, files: &[(&str, &str)]) -> Vec<String> {
        let all = [&[("lib.rs", "mod m;"), ("m.rs", m)], files].concat();
        let (folder, code) = crate_of(&all);
        let place = format!("{}/", folder.path().display());
        circles(&uses(&code)).into_iter().map(|circle| circle.replace(&place, "")).collect()
    }

    #[test]
    fn files_of_one_module_in_a_circle_are_refused_with_their_places() {
        let files = [("m/a.rs", "\nuse super::b::B;\nstruct A;"), ("m/b.rs", "struct B(super::a::A);")];
        assert_eq!(
            within("mod a; mod b;", &files),
            ["modules in a circle: `m::a` uses `m::b` (m/a.rs:2), `m::b` uses `m::a` (m/b.rs:1)"]
        );
        assert_eq!(
            within("mod a; mod b;", &files[..1].iter().copied().chain([("m/b.rs", "")]).collect::<Vec<_>>()).len(),
            0
        );
    }

    #[test]
    fn a_circle_of_three_is_found() {
        let files = [("m/a.rs", "use super::b;"), ("m/b.rs", "use crate::m::c;"), ("m/c.rs", "use super::{a::X, Y};")];
        assert_eq!(within("mod a; mod b; mod c;", &files).len(), 1);
    }

    #[test]
    fn the_module_around_is_no_part_of_a_circle_but_what_it_hands_on_is() {
        let own = "mod a; mod b; use a::f; struct Own;";
        let uses_own = ("m/a.rs", "use super::Own;");
        assert!(within(own, &[uses_own, ("m/b.rs", "use super::a::X;")]).is_empty());
        // `b` gets `f` of `a` by way of the module around them.
        let files = [("m/a.rs", "use super::b::X; fn f() {}"), ("m/b.rs", "use super::f;")];
        assert_eq!(within(own, &files).len(), 1);
    }

    #[test]
    fn a_folder_uses_what_any_file_below_it_uses() {
        let files =
            [("m/a.rs", "mod deep;"), ("m/a/deep.rs", "use super::super::b::X;"), ("m/b.rs", "use super::a::Y;")];
        assert_eq!(within("mod a; mod b;", &files).len(), 1);
        let inside = [
            ("m/a.rs", "mod deep; mod other;"),
            ("m/a/deep.rs", "use super::other;"),
            ("m/a/other.rs", "use super::X;"),
        ];
        assert!(within("mod a; mod b;", &[&inside[..], &[("m/b.rs", "")]].concat()).is_empty());
    }

    #[test]
    fn circles_are_refused_in_a_crate_without_ranks_too() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("lib.rs", "mod low;\nmod high;\n");
        write("low.rs", "");
        write("high.rs", "use crate::low::X;");
        check_circles(folder.path()).unwrap();
        write("low.rs", "use crate::high::Y;");
        let error = check_circles(folder.path()).unwrap_err();
        assert!(error.to_string().contains("`high` uses `low`"), "{error}");
    }
}
