//! `cargo xtask bench [image|machine|service|shell]`: what PixelRTS costs, beside a peer in the same run.
//!
//! Machines are shared and noisy, so only ratios inside one run count: ours and the peer take turns, and a row is the
//! median of the per-round ratios with its extremes. Rows are written to `docs/BENCHMARKS.md`; none is a test.

mod image;
mod machine;
mod paired;
mod report;
mod service;
mod shell;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::image as container_image;
use crate::run::{BINARY, SAMPLES, build_parts, samples};
use crate::steps::Steps;
use crate::tools::{self, Purpose};
use report::Row;

const DOCUMENT: &str = "docs/BENCHMARKS.md";

/// A group of measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// Pack and verify against one pass of `openssl dgst -sha256`
    Image,
    /// Boot against plain QEMU with the same arguments on plain files
    Machine,
    /// How the backend starts, what it takes at rest, and how long it is away after a crash
    Service,
    /// What a browser downloads before the first paint
    Shell,
}

/// Where what is measured lies for one run.
struct Bench {
    scratch: tempfile::TempDir,
}

impl Bench {
    fn scratch(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }
}

/// Builds what is measured, measures `groups` (all when empty) and rewrites their sections of the document.
pub(crate) fn bench(steps: &mut Steps, groups: &[Group]) -> Result<()> {
    let wanted = |group: &Group| groups.is_empty() || groups.contains(group);
    // Machines are run; only the service is measured in a container too.
    tools::ensure(steps, if wanted(&Group::Service) { Purpose::Image } else { Purpose::Run })?;
    tools::ensure_peers(steps)?;
    build_parts(steps)?;
    samples(steps)?;
    let bench = Bench { scratch: tempfile::tempdir_in("target").context("making a scratch folder in target/")? };
    for group in [Group::Image, Group::Machine, Group::Service, Group::Shell].into_iter().filter(wanted) {
        let (title, rows): (_, Vec<Row>) = match group {
            Group::Image => ("Image", steps.run("measure images", || image::measure(&bench))?),
            Group::Machine => ("Machine", steps.run("measure machines", || machine::measure(&bench))?),
            Group::Service => ("Service", {
                let containers = container_image::make(steps, "podman")?;
                steps.run("measure the service", || service::measure(&bench, containers.as_deref()))?
            }),
            Group::Shell => ("Shell", steps.run("measure the shell", shell::measure)?),
        };
        report::print(title, &rows);
        report::record(Path::new(DOCUMENT), title, &rows)?;
    }
    Ok(())
}
