//! `cargo xtask check`: the checks that are cheap enough for every change. Warnings are errors. Each check of our own is
//! in a file of `check/`; `source` is the code as they see it.

mod boundaries;
mod dependencies;
mod errors;
mod named_tests;
mod ranks;
mod source;
mod trust_anchor_size;

use std::process::Command;

use anyhow::{Result, ensure};

use crate::command::{cargo, finish};
use crate::docs;
use crate::steps::Steps;
use crate::tools::{self, Purpose};

type Check = (&'static str, fn() -> Result<()>);

/// The cheapest checks come first.
pub(crate) const CHECKS: &[Check] = &[
    ("format", || finish(&mut cargo(&["fmt", "--all", "--check"]))),
    ("module ranks and circles", || ranks::check("backend/src".as_ref(), "docs/ARCHITECTURE.md".as_ref())),
    ("circles in the shell", || ranks::check_circles("frontend/src".as_ref())),
    ("what only one module may do", || boundaries::check("backend/src".as_ref())),
    ("errors and their translations", || errors::check("backend/src".as_ref())),
    ("pages made from the code", docs::check),
    ("tests that pages name", || named_tests::check(".".as_ref())),
    ("unused dependencies", || dependencies::check(".".as_ref())),
    ("lines of the trust anchor", || trust_anchor_size::check("backend/src".as_ref())),
    ("clippy", || {
        finish(&mut cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"]))
    }),
    ("clippy for the browser", || {
        // In the shell's profile: what runs at compile time is then built once for this and for the shell.
        let shell = ["clippy", "--package", "pixelrts-shell", "--target", "wasm32-unknown-unknown", "--locked"];
        finish(cargo(&shell).args(["--profile", "shell", "--", "--deny", "warnings"]))
    }),
    // `cargo xtask advisories` looks at advisories: their database changes by itself, and a check must not.
    ("licences and sources of dependencies", || {
        finish(Command::new(tools::folder().join("bin/cargo-deny")).args(["check", "bans", "licenses", "sources"]))
    }),
];

pub(crate) fn check(steps: &mut Steps) -> Result<()> {
    tools::ensure(steps, Purpose::Check)?;
    let mut failed = Vec::new();
    for (name, work) in CHECKS {
        if let Err(error) = steps.run(name, work) {
            eprintln!("{error:#}");
            failed.push(*name);
        }
    }
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}
