//! What only one place of the backend may do: the claims of the page about architecture that a type cannot keep.
//!
//! Each rule names functions of other crates and the modules that may mention them. A call through an import, a group,
//! a renamed import or a macro is found as well as one that is written out. A rule that has lost what it is about would
//! pass for ever, so a module that is gone, and a rule that nothing obeys any more, are faults too.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Result, bail};

use super::source::{Crate, Target};

struct Rule {
    /// What these do, for the message.
    does: &'static str,
    /// The modules at the top that may.
    only: &'static [&'static str],
    /// What is meant, with all below it.
    names: &'static [&'static str],
    /// Members of `names` that are harmless.
    except: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule {
        does: "starts tasks or threads",
        only: &["task"],
        names: &[
            "std::thread::spawn",
            "std::thread::scope",
            "std::thread::Builder",
            "tokio::spawn",
            "tokio::task::spawn",
            "tokio::task::spawn_blocking",
            "tokio::task::spawn_local",
            "tokio::task::JoinSet",
            "tokio::task::LocalSet",
            "tokio::runtime::Handle",
            "tokio_util::task::TaskTracker",
        ],
        except: &[],
    },
    Rule {
        does: "reads the environment",
        only: &["cli", "config", "files", "paths"],
        // Without a folder the files of `tempfile` are where `TMPDIR` says.
        names: &[
            "std::env",
            "tempfile::tempdir",
            "tempfile::tempfile",
            "tempfile::TempDir::new",
            "tempfile::NamedTempFile::new",
            "tempfile::env",
        ],
        // The program itself, what it was built for, the working directory, and a function of its argument alone.
        except: &[
            "std::env::consts",
            "std::env::current_exe",
            "std::env::current_dir",
            "std::env::set_current_dir",
            "std::env::split_paths",
        ],
    },
    Rule {
        does: "decides what a machine is booted with",
        only: &["boot"],
        names: &["pixelrts_shared::boot_decision::decide"],
        except: &[],
    },
    Rule {
        does: "decides the status of an image",
        only: &["catalog"],
        names: &["pixelrts_shared::image_status::decide"],
        except: &[],
    },
    Rule { does: "asks for random numbers", only: &["random"], names: &["getrandom", "rand", "fastrand"], except: &[] },
];

type Handlers = (&'static str, &'static [&'static str]);

/// A module that decides nothing itself: it may name these modules of this crate and no others, so that what they are
/// built from is out of its reach.
const HANDLERS: Handlers = (
    "api",
    &[
        "boot",
        "bootstrap",
        "cache",
        "catalog",
        "clock",
        "doctor",
        "machine",
        "paths",
        "policy",
        "random",
        "remote",
        "report",
        "secrets",
        "task",
    ],
);

pub(crate) fn check(source: &Path) -> Result<()> {
    let code = Crate::read(source)?;
    let faults = [faults(&code), stale(&code, RULES, HANDLERS)].concat();
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(())
}

fn faults(code: &Crate) -> Vec<String> {
    let mut faults = Vec::new();
    for (module, found) in code.modules() {
        let top = module.first().map_or("", String::as_str);
        for (mention, target) in code.targets(module) {
            if let Target::Module(to) = &target
                && let Some(to) = to.first().filter(|to| top == HANDLERS.0 && *to != top)
                && !HANDLERS.1.contains(&to.as_str())
            {
                let (file, line) = (found.file.display(), mention.line);
                faults.push(format!("{file}:{line}: a handler uses `{to}`, which belongs into a service"));
            }
            let Target::Foreign { names, through } = target else { continue };
            // Handed on by the module that may.
            let by = through.as_ref().and_then(|through| through.first()).map_or(top, String::as_str);
            let broken = RULES.iter().find(|rule| {
                let one_of = |list: &[&str]| list.iter().any(|name| is_below(&names, name));
                !rule.only.contains(&by) && one_of(rule.names) && !one_of(rule.except)
            });
            if let Some(Rule { does, only, .. }) = broken {
                let (file, line) = (found.file.display(), mention.line);
                let (name, only) = (names.join("::"), only.join("` and `"));
                faults.push(format!("{file}:{line}: `{name}` {does}, which only `{only}` may"));
            }
        }
    }
    faults.sort();
    faults.dedup();
    faults
}

/// Rules that name a module which is gone, and rules that nothing in the code is about.
fn stale(code: &Crate, rules: &[Rule], (handlers, services): Handlers) -> Vec<String> {
    let tops: HashSet<&str> = code.modules().filter_map(|(module, _)| module.first().map(String::as_str)).collect();
    let named = rules.iter().flat_map(|rule| rule.only).chain([&handlers]).chain(services);
    let gone = named.filter(|module| !tops.contains(*module));
    let mut faults: Vec<_> = gone.map(|module| format!("a rule names the module `{module}`, which is gone")).collect();
    let foreign: Vec<Vec<String>> = code
        .modules()
        .flat_map(|(module, _)| code.targets(module))
        .filter_map(|(_, target)| match target {
            Target::Foreign { names, .. } => Some(names),
            Target::Module(_) | Target::Local => None,
        })
        .collect();
    let is_about = |name: &str| foreign.iter().any(|names| is_below(names, name));
    let idle = rules.iter().filter(|rule| !rule.names.iter().any(|name| is_about(name)));
    faults.extend(idle.map(|Rule { does, names, .. }| {
        format!("nothing {does} any more: no code names `{}`; mend the rule or remove it", names.join("` or `"))
    }));
    faults.sort();
    faults.dedup();
    faults
}

/// `std::env::var` is below `std::env`, and below itself.
fn is_below(names: &[String], name: &str) -> bool {
    let mut names = names.iter();
    name.split("::").all(|part| names.next().is_some_and(|name| name == part))
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::crate_of;
    use super::*;

    /// What is found in module `m` with this text, beside modules that may do what it may not.
    fn found(text: &str) -> Vec<String> {
        let (folder, code) = crate_of(&[
            ("lib.rs", "mod task; mod cli; mod random; mod m;"),
            ("task.rs", "pub use std::thread::scope; fn f() { tokio::spawn(x) }"),
            ("cli.rs", "fn f() { std::env::var(\"HOME\") }"),
            ("random.rs", "fn f() { getrandom::fill(&mut x) }"),
            ("m.rs", text),
        ]);
        let place = format!("{}/", folder.path().display());
        faults(&code).into_iter().map(|fault| fault.replace(&place, "")).collect()
    }

    #[test]
    fn what_may_be_done_where_it_is_done_is_not_a_fault() {
        assert_eq!(found("fn f(x: Scope) { x.spawn(y); std::env::consts::ARCH; std::thread::sleep(z) }"), [""; 0]);
        assert_eq!(found("use crate::task::scope; fn f() { scope(x); crate::task::scope(y) }"), [""; 0]);
        assert_eq!(found("#[cfg(test)] mod tests { fn f() { std::thread::spawn(x); tempfile::tempdir() } }"), [""; 0]);
    }

    #[test]
    fn a_task_or_a_thread_that_another_module_starts_is_a_fault() {
        let fault = "m.rs:1: `std::thread::spawn` starts tasks or threads, which only `task` may";
        assert_eq!(found("fn f() { std::thread::spawn(x) }"), [fault]);
        assert_eq!(found("use std::thread as t; fn f() { t::spawn(x) }"), [fault]);
        for text in [
            "use std::thread::{Builder, sleep};",
            "use tokio::task; fn f() { task::spawn_blocking(x) }",
            "fn f() { tokio::select! { _ = tokio::spawn(x) => {} } }",
            "use std::thread; fn f() { thread::scope(x) }",
        ] {
            assert_eq!(found(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn a_module_that_reads_the_environment_is_a_fault() {
        for text in [
            "fn f() { std::env::var_os(\"TMPDIR\") }",
            "fn f() { std::env::temp_dir() }",
            "fn f() { tempfile::tempdir() }",
            "mod inner { use std::env; fn f() { env::vars() } }",
        ] {
            assert_ne!(found(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_handler_that_goes_around_the_services_is_a_fault() {
        let found = |text: &str| {
            let root = ("lib.rs", "mod api; mod boot; mod database;");
            let (_folder, code) =
                crate_of(&[root, ("api.rs", text), ("boot.rs", "pub struct B;"), ("database.rs", "pub struct D;")]);
            faults(&code).len()
        };
        assert_eq!(found("use crate::boot::B; fn f() { B::new() }"), 0);
        assert_eq!(found("use crate::database::D;"), 1);
        assert_eq!(found("use pixelrts_shared::boot_decision; fn f() { boot_decision::decide(x) }"), 1);
    }

    #[test]
    fn a_rule_that_has_lost_its_module_or_its_subject_is_a_fault() {
        let rule = |only, names| Rule { does: "rolls dice", only, names, except: &[] };
        let stale = |rule: Rule, handlers: Handlers| {
            let (_folder, code) =
                crate_of(&[("lib.rs", "mod a; mod b;"), ("a.rs", "fn f() { dice::roll() }"), ("b.rs", "")]);
            stale(&code, &[rule], handlers)
        };
        assert_eq!(stale(rule(&["a"], &["dice", "die"]), ("b", &["a"])), [""; 0]);
        let gone = |module| format!("a rule names the module `{module}`, which is gone");
        assert_eq!(stale(rule(&["a", "c"], &["dice"]), ("b", &["a"])), [gone("c")]);
        assert_eq!(stale(rule(&["a"], &["dice"]), ("c", &["d"])), [gone("c"), gone("d")]);
        let idle = "nothing rolls dice any more: no code names `die` or `dice::throw`; mend the rule or remove it";
        assert_eq!(stale(rule(&["a"], &["die", "dice::throw"]), ("b", &[])), [idle]);
    }

    #[test]
    fn random_numbers_come_from_one_place() {
        assert_eq!(
            found("\n\nfn f() { getrandom::u32() }"),
            ["m.rs:3: `getrandom::u32` asks for random numbers, which only `random` may"]
        );
    }
}
