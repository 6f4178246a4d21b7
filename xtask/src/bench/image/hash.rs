//! Packing, checking and unpacking, compared with one SHA-256 pass over the same payload, and their memory.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::super::paired::{compare, peak_memory_mib, time};
use super::super::report::Row;
use super::super::{BINARY, Bench};
use super::payload;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let payload = payload::real(bench)?;
    let hash = || {
        let mut command = Command::new("openssl");
        command.args(["dgst", "-sha256"]).arg(&payload);
        command
    };
    let image = |command: &str, path: &Path| {
        let mut process = Command::new(BINARY);
        process.args(["--quiet", command]).arg(path);
        process
    };
    let stored = payload::image(bench, "stored.rts.png", &payload, &["--compress", "none"])?;
    let row = |what, goal, ours: &mut Command| -> Result<Row> {
        let pair = compare(|| time(ours), || time(&mut hash()))?.as_speed();
        Ok(Row::speed("I1", what, goal, pair, payload::SIZE))
    };
    // A new file each time, and not on the disk, which is slower than everything that is measured here.
    let memory_files = tempfile::tempdir_in("/dev/shm")?;
    let folder = memory_files.path().join("unpacked");
    let mut unpack = image("unpack", &stored);
    unpack.arg(&folder).arg("--force");
    let memory = |what, command: &Command| -> Result<Row> {
        let mib = peak_memory_mib(command)?;
        Ok(Row {
            id: "I1",
            what,
            goal: "< 256 MiB",
            measured: format!("{mib} MiB"),
            note: "payload 4 GiB, of which 1 GiB is no hole".into(),
        })
    };
    let packed = memory_files.path().join("packed.rts.png");
    let large = payload::large(bench)?;
    let large_image = bench.scratch("large-packed.rts.png");
    let mut unpack_large = image("unpack", &large_image);
    unpack_large.arg(bench.scratch("unpacked")).arg("--force");
    Ok(vec![
        row("verify, strips stored, speed against openssl dgst", ">= 0.8x", &mut image("verify", &stored))?,
        row(
            "verify --deep, strips stored, speed against openssl dgst",
            ">= 0.4x",
            image("verify", &stored).arg("--deep"),
        )?,
        row(
            "pack, strips stored, speed against openssl dgst",
            ">= 0.45x",
            &mut payload::pack(&payload, &["--compress", "none"], &packed),
        )?,
        row("unpack, strips stored, speed against openssl dgst", ">= 0.4x", &mut unpack)?,
        Row {
            id: "",
            ..row(
                "pack --compress fast, speed against openssl dgst",
                "none",
                &mut payload::pack(&payload, &[], &packed),
            )?
        },
        memory("pack, peak memory", &payload::pack(&large, &[], &large_image))?,
        memory("verify, peak memory", &image("verify", &large_image))?,
        memory("unpack, peak memory", &unpack_large)?,
    ])
}
