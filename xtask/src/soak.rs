//! `cargo xtask soak`: what takes too long for every run of the tests. Downloads that are killed again and again, random
//! faults in many combinations, and many clients of one server at once. The result is a row for each in `docs/SOAK.md`.
//!
//! `--only kills` runs one of them and writes nothing.

mod herd;
mod kills;
mod mixes;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::build;
use crate::command::output;
use crate::steps::Steps;
use crate::tools::{self, Purpose};

const DOCUMENT: &str = "docs/SOAK.md";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// One download whose process is killed 100 times
    Kills,
    /// Two servers with random faults each, for many seeds
    Mixes,
    /// 200 clients that fetch from one catalog server at once
    Herd,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Run only this part, and write nothing
    #[arg(long, value_name = "PART")]
    only: Option<Part>,
    /// How many seeds the mixes have
    #[arg(long, value_name = "COUNT", default_value_t = 200)]
    seeds: u64,
}

/// What one part came to.
#[derive(Debug)]
struct Outcome {
    what: String,
    /// What was tried, and how often it went wrong.
    count: usize,
    failures: Vec<String>,
    note: String,
}

pub(crate) fn soak(steps: &mut Steps, options: &Options) -> Result<()> {
    tools::ensure(steps, Purpose::Run)?;
    build::parts(steps)?;
    let wanted = |part| options.only.is_none_or(|only| only == part);
    let mut outcomes = Vec::new();
    if wanted(Part::Kills) {
        outcomes.push(steps.run("kill a download again and again", kills::run)?);
    }
    if wanted(Part::Mixes) {
        outcomes.push(steps.run("mix faults", || mixes::run(options.seeds))?);
    }
    if wanted(Part::Herd) {
        outcomes.push(steps.run("let many clients fetch at once", herd::run)?);
    }
    for Outcome { what, count, failures, note } in &outcomes {
        println!("{what}: {count}, of which {} failed ({note})", failures.len());
        failures.iter().for_each(|failure| println!("  {failure}"));
    }
    if options.only.is_none() {
        record(Path::new(DOCUMENT), &outcomes)?;
    }
    ensure!(outcomes.iter().all(|outcome| outcome.failures.is_empty()), "something failed");
    Ok(())
}

/// Adds a row for each outcome.
fn record(path: &Path, outcomes: &[Outcome]) -> Result<()> {
    let date = output("date", &["-u", "+%F"]).unwrap_or_default();
    let mut text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    for Outcome { what, count, failures, note } in outcomes {
        writeln!(text, "| {date} | {what} | {count} | {} | {note} |", failures.len())?;
    }
    std::fs::write(path, text).with_context(|| path.display().to_string())
}
