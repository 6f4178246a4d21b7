//! What this computer can do at all, and what the Hilbert curve costs (I6): figures of `backend/benches/limits.rs`.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::super::Bench;
use super::super::paired::{Paired, Spread, round_count, time};
use super::super::report::Row;
use super::{mount, payload, read};
use crate::command::{cargo, finish};

/// For each name: the bytes of a round, and how long the rounds took.
type Figures = HashMap<String, (u64, Vec<Duration>)>;

fn image(bench: &Bench) -> Result<PathBuf> {
    payload::image(bench, "stored.rts.png", &payload::real(bench)?, &["--compress", "none"])
}

fn figures(bench: &Bench) -> Result<Figures> {
    let path = bench.output("limits", |path| {
        let image = std::path::absolute(image(bench)?)?;
        let mut command = cargo(&["bench", "--locked", "--package", "pixelrts", "--features", "internals"]);
        finish(command.args(["--bench", "limits", "--"]).arg(image).stdout(File::create(path)?))
    })?;
    let text = std::fs::read_to_string(path)?;
    let line = |line: &str| {
        let mut words = line.split(' ');
        let (name, bytes) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
        let times = words.map(|word| word.parse().map(Duration::from_secs_f64));
        Some((name, (bytes, times.collect::<Result<Vec<_>, _>>().ok()?)))
    };
    text.lines().map(|text| line(text).with_context(|| format!("a line of the benchmark: {text}"))).collect()
}

pub(super) fn hilbert(bench: &Bench) -> Result<Vec<Row>> {
    let figures = figures(bench)?;
    let row = |what, goal, ours, peer| -> Result<Row> {
        let (bytes, ours) = figures.get(ours).with_context(|| format!("no {ours}"))?;
        let (_, peer) = figures.get(peer).with_context(|| format!("no {peer}"))?;
        Ok(Row::speed("I6", what, goal, Paired::of(ours, peer).as_speed(), *bytes))
    };
    Ok(vec![
        row("Hilbert mapping by table, speed against fast_hilbert per pixel", ">= 8x", "hilbert", "fast_hilbert")?,
        row(
            "first touch in memory, speed against the same with a linear mapping",
            ">= 0.9x",
            "touch-hilbert",
            "touch-linear",
        )?,
    ])
}

/// Gigabytes per second on one core, unless the row says otherwise.
pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let mut figures = figures(bench)?;
    let floor = mount::floor(bench)?;
    let real = payload::real(bench)?;
    let mut mine = |name: &str, work: &mut dyn FnMut() -> Result<Duration>| -> Result<()> {
        work()?;
        let times = (0..round_count()).map(|_| work()).collect::<Result<Vec<_>>>()?;
        figures.insert(name.to_owned(), (payload::SIZE, times));
        Ok(())
    };
    mine("page-cache", &mut || read::sequential(&real))?;
    mine("fuse-floor", &mut || {
        read::forget(&floor.file())?;
        read::warm();
        read::sequential(&floor.file())
    })?;
    mine("openssl", &mut || time(Command::new("openssl").args(["dgst", "-sha256"]).arg(&real)))?;
    let row = |what, name: &str| -> Result<Row> {
        let (bytes, times) = figures.get(name).with_context(|| format!("no {name}"))?;
        let Spread { median, min, max } = Spread::of(times.iter().map(|time| *bytes as f64 / time.as_secs_f64() / 1e9));
        Ok(Row {
            id: "",
            what,
            goal: "none",
            measured: format!("{median:.2} GB/s ({min:.2} to {max:.2})"),
            note: format!("{} MiB", bytes >> 20),
        })
    };
    Ok(vec![
        row("memcpy", "memcpy")?,
        row("CRC-32 (zlib-rs)", "crc32")?,
        row("Adler-32 (simd-adler32)", "adler32")?,
        row("SHA-256 (sha2)", "sha256")?,
        row("SHA-256 (openssl dgst)", "openssl")?,
        row("inflate, stored blocks (zlib-rs)", "inflate-stored")?,
        row("inflate, level 6 (zlib-rs)", "inflate-6")?,
        row("deflate, level 1 (zlib-rs)", "deflate-1")?,
        row("Hilbert mapping by table", "hilbert")?,
        row("Hilbert mapping with fast_hilbert, per pixel", "fast_hilbert")?,
        row("raw file in the page cache", "page-cache")?,
        row("FUSE floor: our mount of bytes in memory", "fuse-floor")?,
    ])
}
