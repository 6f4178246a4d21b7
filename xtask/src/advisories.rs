//! `cargo xtask advisories`: whether an advisory is published for a version in `Cargo.lock`.
//!
//! It is a task of its own and no part of `check`: the database of advisories changes by itself, so a commit that was
//! good yesterday would fail today, and fetching it needs a network.

use std::process::Command;

use anyhow::{Context, Result};

use crate::command::finish;
use crate::steps::Steps;
use crate::tools::{self, Purpose};

pub(crate) fn advisories(steps: &mut Steps) -> Result<()> {
    tools::ensure(steps, Purpose::Check)?;
    let deny = || Command::new(tools::folder().join("bin/cargo-deny"));
    steps.run("fetch the advisories", || {
        finish(deny().args(["fetch", "db"])).context(
            "The database of advisories cannot be fetched, so nothing was checked. It comes from \
             https://github.com/RustSec/advisory-db: check the network, then run `cargo xtask advisories` again.",
        )
    })?;
    steps.run("advisories", || finish(deny().args(["check", "--disable-fetch", "advisories"])))
}
