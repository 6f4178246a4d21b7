//! What a new version of a disk costs somebody who has the old one.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

use anyhow::Result;

use super::super::Bench;
use super::super::paired::time;
use super::super::report::Row;
use super::{index, payload};

/// The number of pieces that change. Their lengths and places are odd numbers.
const PIECES: u64 = 8;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let size = 2 * payload::SIZE;
    let disk = bench.output("disk", |path| {
        let mut disk = File::create(path)?;
        for half in [payload::real(bench)?, payload::random(bench)?] {
            std::io::copy(&mut File::open(half)?, &mut disk)?;
        }
        Ok(())
    })?;
    let old = payload::image(bench, "old.rts.png", &disk, &[])?;
    let file = OpenOptions::new().read(true).write(true).open(&disk)?;
    let mut piece = vec![0; usize::try_from(size / 100 / PIECES)? | 1];
    for number in 0..PIECES {
        let at = number * (size / PIECES) + 12_345_677;
        file.read_exact_at(&mut piece, at)?;
        piece.iter_mut().for_each(|byte| *byte ^= 0x55);
        file.write_all_at(&piece, at)?;
    }
    let new = bench.scratch("new.rts.png");
    time(payload::pack(&disk, &[], &new).arg("--base").arg(&old))?;
    std::fs::remove_file(&disk)?;

    let known: HashSet<[u8; 32]> = index::read(&old)?.0.iter().map(|strip| strip.sha256).collect();
    let (strips, rest) = index::read(&new)?;
    let fetched: Vec<_> = strips.iter().filter(|strip| !strip.zero && !known.contains(&strip.sha256)).collect();
    let bytes = rest + fetched.iter().map(|strip| strip.length).sum::<u64>();
    let file_size = new.metadata()?.len();
    Ok(vec![Row {
        id: "I9",
        what: "bytes to fetch after a 1 % change of a 1 GiB disk, of all bytes",
        goal: "<= 1.5 %",
        measured: format!("{:.2} %", 100.0 * bytes as f64 / file_size as f64),
        note: format!(
            "{PIECES} pieces, {} of {} strips, {:.1} of {:.1} MB",
            fetched.len(),
            strips.len(),
            bytes as f64 / 1e6,
            file_size as f64 / 1e6
        ),
    }])
}
