//! Pack and verify beside one SHA-256 pass over the same payload, and their memory.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::paired::{compare, peak_memory_mib, time};
use super::report::Row;
use super::{BINARY, Bench, SAMPLES};

/// Large enough that start-up does not count, small enough to stay in the page cache of any machine.
const PAYLOAD: u64 = 256 << 20;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let payload = bench.scratch("payload");
    write_payload(Path::new(SAMPLES), &payload)?;
    let hash = || {
        let mut command = Command::new("openssl");
        command.args(["dgst", "-sha256"]).arg(&payload);
        command
    };
    let pack = |compress: &str, out: &Path| {
        let mut command = Command::new(BINARY);
        command.args(["pack", "--kernel"]).arg(&payload).args(["--compress", compress, "-o"]).arg(out);
        command
    };
    let image = |command: &str, path: &Path| {
        let mut process = Command::new(BINARY);
        process.arg(command).arg(path);
        process
    };
    let (stored, deflated) = (bench.scratch("stored.rts.png"), bench.scratch("deflated.rts.png"));
    let pack_stored = compare(|| time(&mut pack("none", &stored)), || time(&mut hash()))?.as_speed();
    let pack_fast = compare(|| time(&mut pack("fast", &deflated)), || time(&mut hash()))?.as_speed();
    let verify = compare(|| time(&mut image("verify", &stored)), || time(&mut hash()))?.as_speed();
    let deep = compare(|| time(image("verify", &stored).arg("--deep")), || time(&mut hash()))?.as_speed();
    let memory = |what, command: &Command| -> Result<Row> {
        let mib = peak_memory_mib(command)?;
        Ok(Row { id: "I1", what, goal: "< 256 MiB", measured: format!("{mib} MiB"), note: "payload 256 MiB".into() })
    };
    Ok(vec![
        Row::paired("I1", "verify, strips stored, speed against openssl dgst", ">= 0.8x", verify),
        Row::paired("I1", "verify --deep, strips stored, speed against openssl dgst", ">= 0.4x", deep),
        Row::paired("I1", "pack, strips stored, speed against openssl dgst", ">= 0.45x", pack_stored),
        Row::paired("", "pack --compress fast, speed against openssl dgst", "none", pack_fast),
        memory("pack, peak memory", &pack("fast", &deflated))?,
        memory("verify, peak memory", &image("verify", &stored))?,
    ])
}

/// Real bytes: the sample images themselves, one after the other until it is enough.
fn write_payload(samples: &Path, path: &Path) -> Result<()> {
    let mut out = File::create(path)?;
    let mut files = std::fs::read_dir(samples)
        .with_context(|| format!("reading {}", samples.display()))?
        .map(|file| Ok(file?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|ending| ending == "png"));
    files.sort();
    anyhow::ensure!(!files.is_empty(), "{} holds no images", samples.display());
    for file in files.iter().cycle() {
        std::io::copy(&mut File::open(file)?, &mut out)?;
        if out.stream_position()? >= PAYLOAD {
            break;
        }
    }
    out.set_len(PAYLOAD)?;
    out.seek(SeekFrom::End(0))?;
    Ok(out.flush()?)
}
