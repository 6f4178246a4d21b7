//! What it costs that strips inflate alone and that there is an index: the file, compared with one zlib stream of the same
//! level over the same picture. Another row shows what the curve costs: a picture compresses worse than its bytes.

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
use super::{index, payload};

/// The bytes of files of this system.
const FILES: u64 = 128 << 20;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let (boot, files) = (boot_files(bench)?, bench.scratch("files"));
    std::io::copy(&mut File::open(payload::real(bench)?)?.take(FILES), &mut File::create(&files)?)?;
    let mut rows = Vec::new();
    let best = (&["--compress", "best"][..], Compression::best());
    let fast = (&[][..], Compression::fast());
    for (strips, curve, payload, (options, level)) in [
        (
            "boot files, level 9: file size against one zlib stream of the same picture",
            "boot files, level 9: the same against one of the payload as it is",
            &boot,
            best,
        ),
        (
            "files, level 9: file size against one zlib stream of the same picture",
            "files, level 9: the same against one of the payload as it is",
            &files,
            best,
        ),
        (
            "files, level 1: file size against one zlib stream of the same picture",
            "files, level 1: the same against one of the payload as it is",
            &files,
            fast,
        ),
    ] {
        let image = bench.scratch("sized.rts.png");
        time(&mut payload::pack(payload, options, &image))?;
        let ours = image.metadata()?.len();
        let mut row = |what, goal, peer: &mut dyn Read| -> Result<()> {
            let peer = std::io::copy(&mut ZlibEncoder::new(peer, level), &mut std::io::sink())?;
            let measured = format!("{:.4}x", ours as f64 / peer as f64);
            rows.push(Row { id: "I7", what, goal, measured, note: format!("{ours} bytes, peer {peer}") });
            Ok(())
        };
        row(strips, "<= 1.01x", &mut index::rows(&image)?)?;
        row(curve, "none", &mut File::open(payload)?)?;
    }
    Ok(rows)
}

/// Kernel and initrd of a sample, inflated and joined.
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
