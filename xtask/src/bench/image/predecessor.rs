//! Compared with the older Python tools, in their own format. These tools are not part of this project: `--predecessor`
//! names their folder, and without it these rows say that nothing was measured.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::super::paired::{Paired, peak_memory_mib, rounds, time};
use super::super::report::Row;
use super::super::{BINARY, Bench};
use super::payload;

const ENCODE: &str = "import sys; sys.path.insert(0, sys.argv[1]); import pixelrts_v2_core as core; \
     open(sys.argv[3], 'wb').write(core.PixelRTSEncoder().encode(open(sys.argv[2], 'rb').read()))";
const DECODE: &str = "import sys; sys.path.insert(0, sys.argv[1]); import pixelrts_v2_core as core; \
     open(sys.argv[3], 'wb').write(core.PixelRTSDecoder().decode(open(sys.argv[2], 'rb').read()))";

/// Both payloads fill their square. The peer takes minutes for the larger one, so its time is that of the smaller one,
/// multiplied by the number of pixels; a pixel of the larger one costs a little more, not less.
const MEASURED: u64 = 4 << 20;
const LARGE: u64 = 64 << 20;
/// The peer's memory is measured with this one: a kernel and its initrd, in a square of 16 MiB.
const MIDDLE: u64 = 15_217_512;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let Some(tools) = &bench.options.predecessor else {
        return Ok(vec![Row {
            id: "I2",
            what: "encode and decode against the older Python tools",
            goal: ">= 500x",
            measured: "not measured".into(),
            note: "not measured: --predecessor DIR names these tools".into(),
        }]);
    };
    let script = |script: &str, from: &Path, to: &Path| {
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-B", "-c", script]).args([tools.as_path(), from, to]);
        command
    };
    let part = |size: u64| -> Result<PathBuf> {
        let path = bench.scratch(&format!("part-{size}"));
        std::io::copy(&mut File::open(payload::real(bench)?)?.take(size), &mut File::create(&path)?)?;
        Ok(path)
    };
    let (small, middle, large) = (part(MEASURED)?, part(MIDDLE)?, part(LARGE)?);
    let theirs = |payload: &Path| payload.with_extension("theirs.rts.png");
    let back = bench.scratch("theirs.back");
    let folder = bench.scratch("classic.back");
    let unpack = |payload: &Path| {
        let mut command = Command::new(BINARY);
        command.arg("unpack").arg(theirs(payload)).arg(&folder).arg("--force");
        command
    };
    let pack =
        |payload: &Path| payload::pack(payload, &["--profile", "classic"], &payload.with_extension("ours.rts.png"));

    let (encode, decode) = (script(ENCODE, &middle, &theirs(&middle)), script(DECODE, &theirs(&middle), &back));
    let mut rows = vec![
        memory("encode, 15 MB, peak memory against the older tools", &pack(&middle), &encode)?,
        memory("decode, 15 MB, peak memory against the older tools", &unpack(&middle), &decode)?,
    ];
    ensure!(std::fs::read(&back)? == std::fs::read(&middle)?, "the older tools decode something else");
    // They take a minute to make one of 64 MiB, so decoding uses one of ours in the same format.
    time(&mut pack(&large))?;
    std::fs::rename(large.with_extension("ours.rts.png"), theirs(&large))?;

    let times = rounds([
        &mut || time(&mut pack(&middle)),
        &mut || time(&mut pack(&large)),
        &mut || time(&mut script(ENCODE, &small, &theirs(&small))),
        &mut || time(&mut unpack(&middle)),
        &mut || time(&mut unpack(&large)),
        &mut || time(&mut script(DECODE, &theirs(&small), &back)),
    ])?;
    let [encode_middle, encode_large, encode_peer, decode_middle, decode_large, decode_peer] = times;
    let scaled = |times: &[Duration], by: u32| times.iter().map(|time| *time * by).collect::<Vec<_>>();
    let row = |what, ours: &[Duration], peer: &[Duration], by| {
        let mut row = Row::paired("I2", what, ">= 500x", Paired::of(ours, &scaled(peer, by)).as_speed());
        row.note += &format!(": {by} times its time for 4 MiB");
        row
    };
    rows.extend([
        row("encode, 15 MB, speed against the older tools", &encode_middle, &encode_peer, 4),
        row("encode, 64 MiB, speed against the older tools", &encode_large, &encode_peer, 16),
        row("decode, 15 MB, speed against the older tools", &decode_middle, &decode_peer, 4),
        row("decode, 64 MiB, speed against the older tools", &decode_large, &decode_peer, 16),
    ]);
    Ok(rows)
}

fn memory(what: &'static str, ours: &Command, peer: &Command) -> Result<Row> {
    // The peer comes first, because both decode what it makes.
    let (peer, ours) = (peak_memory_mib(peer)?, peak_memory_mib(ours)?);
    let measured = format!("{:.3}x", ours as f64 / peer as f64);
    Ok(Row { id: "I2", what, goal: "<= 0.1x", measured, note: format!("{ours} MiB, peer {peer} MiB") })
}
