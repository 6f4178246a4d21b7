//! The first start on a computer, a start with nothing to do, the first answers, and the memory of a backend at rest.
//!
//! All of this is measured with the release binary. The times of the bootstrap phase are those that it logs; the others
//! are from the start of the process to the last byte of the answer.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, ensure};

use super::super::backend::Backend;
use super::super::paired::{Spread, round_count};
use super::super::report::Row;
use super::super::{BINARY, Bench};

const IMAGES: usize = 1000;
/// A backend is at rest when it had no request for so long.
const REST: Duration = Duration::from_secs(2);

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let images = images(&bench.scratch("images"))?;
    let home = bench.scratch("home");
    let (mut cold, mut cold_answer, mut nothing) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..round_count() {
        if home.exists() {
            std::fs::remove_dir_all(&home)?;
        }
        let backend = start(&home, &images)?;
        backend.get("/api/v1/health")?;
        cold_answer.push(backend.since());
        cold.push(backend.stop()?.bootstrap(&home)?);
    }
    // The first start reads all images.
    let backend = start(&home, &images)?;
    expect_all(&backend)?;
    backend.stop()?;
    let (mut first, mut all) = (Vec::new(), Vec::new());
    let mut rest = Vec::new();
    for _ in 0..round_count() {
        let backend = start(&home, &images)?;
        backend.get("/api/v1/health")?;
        first.push(backend.since());
        expect_all(&backend)?;
        all.push(backend.since());
        std::thread::sleep(REST);
        rest.push(backend.memory()?);
        let stopped = backend.stop()?;
        ensure!(stopped.log(&home)?.contains("no actions needed"), "a start had something to do");
        nothing.push(stopped.bootstrap(&home)?);
    }
    let row = |what, goal, unit, values: Vec<f64>| {
        let Spread { median, min, max } = Spread::of(values.into_iter());
        let measured = format!("{median:.1} {unit} ({min:.1} to {max:.1})");
        Row { id: "F1", what, goal, measured, note: format!("median of {}, {IMAGES} images", round_count()) }
    };
    Ok(vec![
        row("backend at rest, resident memory, images known", "<= 25 MiB", "MiB", rest),
        row("start of the process to the first answer (health), images known", "<= 150 ms", "ms", first),
        row("start of the process to the catalog with all images, images known", "none", "ms", all),
        row("bootstrap phase with nothing to do", "<= 100 ms", "ms", nothing),
        row("bootstrap phase on an empty home (files of the system in memory)", "<= 1000 ms", "ms", cold),
        row("start of the process on an empty home to the first answer", "<= 5000 ms", "ms", cold_answer),
    ])
}

/// Small images that differ in every byte of their payload.
fn images(folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let payload = folder.join(".payload");
    let mut state = 1_u32;
    for number in 0..IMAGES {
        let bytes = (0..16 << 10).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        });
        std::fs::write(&payload, bytes.collect::<Vec<u8>>())?;
        let mut pack = Command::new(BINARY);
        pack.args(["--quiet", "pack", "--kernel"]).arg(&payload);
        pack.args(["--name", &format!("Image {number}"), "-o"]).arg(folder.join(format!("image-{number}.rts.png")));
        ensure!(pack.stdout(Stdio::null()).status()?.success(), "packing a small image failed");
    }
    std::fs::remove_file(payload)?;
    Ok(folder.to_owned())
}

fn start(home: &Path, images: &Path) -> Result<Backend> {
    Backend::start(home, &["--catalog", &images.to_string_lossy()], &[])
}

fn expect_all(backend: &Backend) -> Result<()> {
    let catalog = backend.get("/api/v1/catalog")?;
    let entries = catalog.matches("\"index_sha256\"").count();
    ensure!(entries == IMAGES, "the catalog has {entries} entries");
    Ok(())
}
