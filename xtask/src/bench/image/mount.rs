//! Reading through a mount: bytes that were never read (I3), bytes that were read before (I4), single pages (I5).
//!
//! The floor is our own mount of the same image with every strip decoded in memory: the same adapter with the same
//! settings, without reading, hashing and inflating. It stays mounted, and the kernel is asked to drop its pages. Ours
//! and squashfuse are mounted again for every round, so that nothing is decoded yet. The files that are mounted are in
//! the page cache.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::super::Bench;
use super::super::paired::{Paired, compare, rounds};
use super::super::report::Row;
use super::mounted::Mounted;
use super::{payload, read};

pub(super) fn floor(bench: &Bench) -> Result<Mounted> {
    let real = payload::real(bench)?;
    Mounted::floor(bench, &payload::image(bench, "stored.rts.png", &real, &["--compress", "none"])?)
}

pub(super) fn first_touch(bench: &Bench) -> Result<Vec<Row>> {
    let (real, random) = (payload::real(bench)?, payload::random(bench)?);
    let stored = payload::image(bench, "stored.rts.png", &real, &["--compress", "none"])?;
    let deflated = payload::image(bench, "deflated.rts.png", &real, &[])?;
    let incompressible = payload::image(bench, "incompressible.rts.png", &random, &[])?;
    let squashfs = payload::squashfs(bench, "squashfs", &real)?;
    let squashfs_random = payload::squashfs(bench, "squashfs-random", &random)?;
    let floor = floor(bench)?;
    let first = |mounted: Mounted| {
        read::warm();
        read::sequential(&mounted.file())
    };
    let ours = |image: &Path| first(Mounted::ours(bench, image)?);
    let squashfuse = |archive: &Path| first(Mounted::squashfuse(bench, archive)?);
    let [stored, deflated, floor, squash] = rounds([
        &mut || ours(&stored),
        &mut || ours(&deflated),
        &mut || {
            read::forget(&floor.file())?;
            read::warm();
            read::sequential(&floor.file())
        },
        &mut || squashfuse(&squashfs),
    ])?;
    let random = compare(|| ours(&incompressible), || squashfuse(&squashfs_random))?;
    let row = |what, goal, pair: Paired| Row::speed("I3", what, goal, pair.as_speed(), payload::SIZE);
    Ok(vec![
        row("first touch, strips stored, speed against our FUSE floor", ">= 0.5x", Paired::of(&stored, &floor)),
        row("first touch, strips stored, speed against squashfuse_ll gzip", ">= 2.5x", Paired::of(&stored, &squash)),
        row(
            "first touch, strips deflated, speed against squashfuse_ll gzip",
            ">= 1.5x",
            Paired::of(&deflated, &squash),
        ),
        row("first touch, incompressible, speed against squashfuse_ll (which checks nothing)", "none", random),
    ])
}

pub(super) fn again(bench: &Bench) -> Result<Vec<Row>> {
    let real = payload::real(bench)?;
    let mounted = Mounted::ours(bench, &payload::image(bench, "deflated.rts.png", &real, &[])?)?;
    let pair = compare(|| read::sequential(&mounted.file()), || read::sequential(&real))?;
    let what = "reading a mounted image again, speed against the raw file";
    Ok(vec![Row::speed("I4", what, ">= 0.9x", pair.as_speed(), payload::SIZE)])
}

pub(super) fn pages(bench: &Bench) -> Result<Vec<Row>> {
    let real = payload::real(bench)?;
    let image = payload::image(bench, "deflated.rts.png", &real, &[])?;
    let squashfs = payload::squashfs(bench, "squashfs", &real)?;
    let floor = floor(bench)?;
    let [ours, floor, squash]: [Vec<Duration>; 3] = rounds([
        &mut || read::random(&Mounted::ours(bench, &image)?.file()),
        &mut || {
            read::forget(&floor.file())?;
            read::random(&floor.file())
        },
        &mut || read::random(&Mounted::squashfuse(bench, &squashfs)?.file()),
    ])?;
    Ok(vec![
        Row::paired(
            "I5",
            "random 4 KiB, strips decoded, median time against our FUSE floor",
            "<= 1.5x",
            Paired::of(&ours, &floor),
        ),
        Row::paired(
            "I5",
            "random 4 KiB, strips decoded, median time against squashfuse_ll gzip",
            "<= 0.12x",
            Paired::of(&ours, &squash),
        ),
    ])
}
