//! `cargo xtask bench [image|machine|network|service|shell]`: what PixelRTS costs, compared with a peer in the same run.
//!
//! Computers are shared and noisy, so only ratios inside one run count: ours and the peer take turns, and a row is the
//! median of the ratios of all rounds with its extremes. Rows are written to `docs/BENCHMARKS.md`; none of them is a test.
//! `--only I3` measures one goal alone and writes nothing, for somebody who works on that goal.

mod backend;
mod image;
mod machine;
mod network;
mod paired;
mod report;
mod service;
mod shell;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;

pub(crate) use backend::{Backend, command};

use crate::build::{self, BINARY};
use crate::container_image;
use crate::samples::{self, SAMPLES};
use crate::steps::Steps;
use crate::tools::{self, Purpose};
use report::Row;

const DOCUMENT: &str = "docs/BENCHMARKS.md";
/// The files that are measured with. They are kept between runs.
const INPUTS: &str = "target/bench";

/// A group of measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// Images: packing, checking, mounting and reading, compared with openssl, squashfuse and the plain file
    Image,
    /// Boots, compared with plain QEMU with the same arguments on plain files
    Machine,
    /// Fetching and serving, compared with curl, aria2c and nginx; many servers, some of them hostile
    Network,
    /// How long the backend takes to start, its memory at rest, and how long it is away after a crash
    Service,
    /// What a browser downloads before the first paint
    Shell,
}

impl Group {
    const ALL: [Self; 5] = [Self::Image, Self::Machine, Self::Network, Self::Service, Self::Shell];

    /// Whether a goal is measured with this group. F4 is about servers, and needs what the other goals about them need.
    fn has(self, goal: &str) -> bool {
        match self {
            Self::Image => goal.starts_with('I'),
            Self::Machine => goal.starts_with(['M', 'B']),
            Self::Network => goal.starts_with('W') || goal == "F4",
            Self::Service => goal.starts_with('F') && goal != "F4",
            Self::Shell => goal.starts_with('S'),
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The groups to measure; all of them when none is named
    groups: Vec<Group>,
    /// Measure only this goal, for example I3, and write nothing; can be given several times
    #[arg(long, value_name = "GOAL")]
    only: Vec<String>,
    /// How many rounds count, to see soon whether a measurement works; nothing is written then
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..))]
    rounds: Option<u8>,
    /// The folder of the older Python tools, with `pixelrts_v2_core.py`, to compare with them
    #[arg(long, value_name = "DIR")]
    predecessor: Option<PathBuf>,
}

impl Options {
    fn group(&self, group: Group) -> bool {
        let named = self.groups.is_empty() || self.groups.contains(&group);
        named && (self.only.is_empty() || self.only.iter().any(|goal| group.has(goal)))
    }
}

/// One run: what to measure, and the folder of its files.
struct Bench {
    options: Options,
    scratch: tempfile::TempDir,
}

impl Bench {
    fn includes(&self, goal: &str) -> bool {
        self.options.only.is_empty() || self.options.only.iter().any(|only| only == goal)
    }

    /// The path of a file of this run.
    fn scratch(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// A file that several goals need and that does not depend on our code. It is made once and kept between runs.
    fn input(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let path = Path::new(INPUTS).join(name);
        if !path.exists() {
            let unfinished = self.scratch(name);
            make(&unfinished).with_context(|| format!("making {name}"))?;
            std::fs::rename(unfinished, &path)?;
        }
        Ok(path)
    }

    /// A file that several goals need and that our code makes. It is made once in a run.
    fn output(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let path = self.scratch(name);
        if !path.exists() {
            make(&path).with_context(|| format!("making {name}"))?;
        }
        Ok(path)
    }
}

/// Builds PixelRTS, measures, and rewrites the sections of the document that were measured.
pub(crate) fn bench(steps: &mut Steps, options: Options) -> Result<()> {
    // Every group may run machines, but only the service is also measured in a container.
    tools::ensure(steps, if options.group(Group::Service) { Purpose::Image } else { Purpose::Run })?;
    tools::ensure_peers(steps, options.group(Group::Network), options.predecessor.is_some())?;
    if let Some(rounds) = options.rounds {
        paired::set_rounds(rounds.into());
    }
    build::parts(steps)?;
    samples::make(steps)?;
    std::fs::create_dir_all(INPUTS)?;
    let scratch = tempfile::tempdir_in(INPUTS).context("making a scratch folder")?;
    let bench = Bench { options, scratch };
    for group in Group::ALL.into_iter().filter(|group| bench.options.group(*group)) {
        let sections: Vec<(&str, Vec<Row>)> = match group {
            Group::Image => {
                let mut sections = vec![("Image", steps.run("measure images", || image::measure(&bench))?)];
                if bench.includes("I6") {
                    sections.push(("Limits", steps.run("measure this computer", || image::limits(&bench))?));
                }
                sections
            }
            Group::Machine => vec![("Machine", steps.run("measure machines", || machine::measure(&bench))?)],
            Group::Network => vec![("Network", steps.run("measure the network", || network::measure(&bench))?)],
            Group::Service => vec![("Service", {
                let containers = container_image::make_where_possible(steps, "podman")?;
                steps.run("measure the service", || service::measure(&bench, &containers))?
            })],
            Group::Shell => vec![("Shell", steps.run("measure the shell", shell::measure)?)],
        };
        for (title, rows) in sections {
            report::print(title, &rows);
            if bench.options.only.is_empty() && bench.options.rounds.is_none() {
                report::record(Path::new(DOCUMENT), title, &rows)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_goal_belongs_to_one_group() {
        let named = network::GOALS.iter().map(|(goal, _)| *goal);
        for goal in named.chain(["I1", "I9", "M1", "B5", "F1", "F2", "S1"]) {
            let groups: Vec<_> = Group::ALL.into_iter().filter(|group| group.has(goal)).collect();
            assert_eq!(groups.len(), 1, "{goal}: {groups:?}");
        }
        assert!(Group::Network.has("F4") && Group::Service.has("F1"));
    }
}
