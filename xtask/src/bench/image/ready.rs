//! How long a mount takes until its files are there, and the memory of the process that serves it.

use std::path::Path;

use anyhow::{Context, Result};

use super::super::Bench;
use super::super::paired::{Spread, compare, process_mib, round_count};
use super::super::report::Row;
use super::mounted::Mounted;
use super::{payload, read};

/// The bytes of the large image. What follows `start` is a hole.
const LARGE: u64 = 8 << 30;
const SMALL: usize = 4 << 20;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let real = payload::real(bench)?;
    let mut start = vec![0; SMALL];
    std::os::unix::fs::FileExt::read_exact_at(&std::fs::File::open(&real)?, &mut start, 0)?;
    let ready = |name: &str, size| {
        let disk = bench.output(name, |path| payload::sparse(path, &start, size))?;
        let image = payload::image(bench, &format!("{name}.rts.png"), &disk, &[])?;
        let squashfs = payload::squashfs(bench, &format!("squashfs-{name}"), &disk)?;
        compare(|| Ok(Mounted::ours(bench, &image)?.ready), || Ok(Mounted::squashfuse(bench, &squashfs)?.ready))
    };
    let stored = payload::image(bench, "stored.rts.png", &real, &["--compress", "none"])?;
    let whole = compare(
        || Ok(Mounted::ours(bench, &stored)?.ready),
        || Ok(Mounted::squashfuse(bench, &payload::squashfs(bench, "squashfs", &real)?)?.ready),
    )?;
    let memory = |image: &Path| {
        let mounted = Mounted::ours(bench, image)?;
        read::sequential(&mounted.file())?;
        process_mib(mounted.pid.context("the mount does not tell its process")?, "VmHWM")
    };
    let deflated = payload::image(bench, "deflated.rts.png", &real, &[])?;
    let memory = (0..round_count()).map(|_| memory(&deflated)).collect::<Result<Vec<_>>>()?;
    Ok(vec![
        Row::paired("I8", "mount ready, 4 MiB, time against squashfuse_ll", "<= 2x", ready("small", SMALL as u64)?),
        Row::paired("I8", "mount ready, 512 MiB stored, time against squashfuse_ll", "<= 2x", whole),
        Row::paired("I8", "mount ready, 8 GiB with holes, time against squashfuse_ll", "<= 2x", ready("large", LARGE)?),
        Row {
            id: "I8",
            what: "most memory of a mount that was read to its end",
            goal: "< 48 MiB",
            measured: format!("{} MiB", Spread::of(memory.into_iter())),
            note: "512 MiB, strips deflated".into(),
        },
    ])
}
