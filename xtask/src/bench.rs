//! `cargo xtask bench [image|machine|service|shell]`: what PixelRTS costs, beside a peer in the same run.
//!
//! Machines are shared and noisy, so only ratios inside one run count: ours and the peer take turns, and a row is the
//! median of the per-round ratios with its extremes. Rows are written to `docs/BENCHMARKS.md`; none is a test.
//! `--only I3` measures one goal alone and writes nothing: for who works on it.

mod image;
mod machine;
mod paired;
mod report;
mod service;
mod shell;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::build::{self, BINARY};
use crate::image as container_image;
use crate::samples::{self, SAMPLES};
use crate::steps::Steps;
use crate::tools::{self, Purpose};
use report::Row;

const DOCUMENT: &str = "docs/BENCHMARKS.md";
/// What is measured with, kept between runs.
const INPUTS: &str = "target/bench";

/// A group of measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// Images: packing, checking, mounting, reading, beside openssl, squashfuse and the raw file
    Image,
    /// Boot against plain QEMU with the same arguments on plain files
    Machine,
    /// How the backend starts, what it takes at rest, and how long it is away after a crash
    Service,
    /// What a browser downloads before the first paint
    Shell,
}

impl Group {
    const ALL: [Self; 4] = [Self::Image, Self::Machine, Self::Service, Self::Shell];

    /// The first letter of its goals.
    fn letter(self) -> char {
        match self {
            Self::Image => 'I',
            Self::Machine => 'M',
            Self::Service => 'F',
            Self::Shell => 'S',
        }
    }
}

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// All of them, when none is named
    groups: Vec<Group>,
    /// These goals alone, as in I3; nothing is written then
    #[arg(long, value_name = "GOAL")]
    only: Vec<String>,
    /// The older Python tools, for what is compared with them: a folder with `pixelrts_v2_core.py`
    #[arg(long, value_name = "DIR")]
    predecessor: Option<PathBuf>,
}

impl Options {
    fn group(&self, group: Group) -> bool {
        let named = self.groups.is_empty() || self.groups.contains(&group);
        named && (self.only.is_empty() || self.only.iter().any(|goal| goal.starts_with(group.letter())))
    }
}

/// One run: what is asked for, and where what is measured lies.
struct Bench {
    options: Options,
    scratch: tempfile::TempDir,
}

impl Bench {
    fn wants(&self, goal: &str) -> bool {
        self.options.only.is_empty() || self.options.only.iter().any(|only| only == goal)
    }

    /// A file of this run.
    fn scratch(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// A file that several goals need and no change of ours changes: made once, kept between runs.
    fn input(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let path = Path::new(INPUTS).join(name);
        if !path.exists() {
            let unfinished = self.scratch(name);
            make(&unfinished).with_context(|| format!("making {name}"))?;
            std::fs::rename(unfinished, &path)?;
        }
        Ok(path)
    }

    /// The same of something that changes with our code: made once in a run.
    fn output(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let path = self.scratch(name);
        if !path.exists() {
            make(&path).with_context(|| format!("making {name}"))?;
        }
        Ok(path)
    }
}

/// Builds what is measured, measures what is wanted and rewrites its sections of the document.
pub(crate) fn bench(steps: &mut Steps, options: Options) -> Result<()> {
    // Machines are run; only the service is measured in a container too.
    tools::ensure(steps, if options.group(Group::Service) { Purpose::Image } else { Purpose::Run })?;
    tools::ensure_peers(steps, options.predecessor.is_some())?;
    build::parts(steps)?;
    samples::make(steps)?;
    std::fs::create_dir_all(INPUTS)?;
    let scratch = tempfile::tempdir_in(INPUTS).context("making a scratch folder")?;
    let bench = Bench { options, scratch };
    for group in Group::ALL.into_iter().filter(|group| bench.options.group(*group)) {
        let sections: Vec<(&str, Vec<Row>)> = match group {
            Group::Image => {
                let mut sections = vec![("Image", steps.run("measure images", || image::measure(&bench))?)];
                if bench.wants("I6") {
                    sections.push(("Limits", steps.run("measure this computer", || image::limits(&bench))?));
                }
                sections
            }
            Group::Machine => vec![("Machine", steps.run("measure machines", || machine::measure(&bench))?)],
            Group::Service => vec![("Service", {
                let containers = container_image::make(steps, "podman")?;
                steps.run("measure the service", || service::measure(&bench, containers.as_deref()))?
            })],
            Group::Shell => vec![("Shell", steps.run("measure the shell", shell::measure)?)],
        };
        for (title, rows) in sections {
            report::print(title, &rows);
            if bench.options.only.is_empty() {
                report::record(Path::new(DOCUMENT), title, &rows)?;
            }
        }
    }
    Ok(())
}
