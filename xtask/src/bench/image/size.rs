//! What strips that inflate alone, and the index, cost: the file beside one zlib stream of the same level.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use flate2::Compression;
use flate2::read::ZlibEncoder;

use super::super::paired::time;
use super::super::report::Row;
use super::super::{BINARY, Bench, SAMPLES};
use super::payload;

/// Of files of this system, in bytes.
const FILES: u64 = 128 << 20;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let (boot, files) = (boot_files(bench)?, bench.scratch("files"));
    std::io::copy(&mut File::open(payload::real(bench)?)?.take(FILES), &mut File::create(&files)?)?;
    let row = |what, payload: &Path, options: &[&str], level| -> Result<Row> {
        let image = bench.scratch("sized.rts.png");
        time(&mut payload::pack(payload, options, &image))?;
        let ours = image.metadata()?.len();
        let stream = std::io::copy(&mut ZlibEncoder::new(File::open(payload)?, level), &mut std::io::sink())?;
        Ok(Row {
            id: "I7",
            what,
            goal: "<= 1.01x",
            measured: format!("{:.4}x", ours as f64 / stream as f64),
            note: format!("{ours} bytes, peer {stream}, payload {:.1} MB", payload.metadata()?.len() as f64 / 1e6),
        })
    };
    Ok(vec![
        row(
            "file size against one zlib stream, level 9, kernel and initrd",
            &boot,
            &["--compress", "best"],
            Compression::best(),
        )?,
        row("file size against one zlib stream, level 9, files", &files, &["--compress", "best"], Compression::best())?,
        row("file size against one zlib stream, level 1, kernel and initrd", &boot, &[], Compression::fast())?,
        row("file size against one zlib stream, level 1, files", &files, &[], Compression::fast())?,
    ])
}

/// Kernel and initrd of a sample, inflated, one behind the other.
fn boot_files(bench: &Bench) -> Result<PathBuf> {
    bench.output("boot-files", |path| {
        let (packed, image, inflated) =
            (bench.scratch("packed"), bench.scratch("inflated.rts.png"), bench.scratch("inflated"));
        let unpack = |image: &Path, folder: &Path| time(Command::new(BINARY).arg("unpack").arg(image).arg(folder));
        unpack(&Path::new(SAMPLES).join("linux-busybox.rts.png"), &packed)?;
        let initrd = packed.join("initrd");
        let options = ["--boot-files", "inflate", "--initrd", &initrd.to_string_lossy()];
        time(&mut payload::pack(&packed.join("kernel"), &options, &image))?;
        unpack(&image, &inflated)?;
        let mut joined = File::create(path)?;
        for part in ["kernel", "initrd"] {
            std::io::copy(&mut File::open(inflated.join(part))?, &mut joined)?;
        }
        Ok(())
    })
}
