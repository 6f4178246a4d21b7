//! The content of images: programs and libraries of this system, in a tar archive.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::super::paired::time;
use super::super::{BINARY, Bench};

/// Large enough that the start of a program does not matter, and small enough to stay in the page cache.
pub(super) const SIZE: u64 = 512 << 20;

/// A file of [`SIZE`] real bytes.
pub(super) fn real(bench: &Bench) -> Result<PathBuf> {
    bench.input("payload", |path| {
        let mut tar = Command::new("tar");
        tar.args(["-C", "/usr", "--sort=name", "-c", "bin", "lib"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut tar = tar.spawn().context("tar")?;
        let archive = tar.stdout.take().context("standard output is piped")?;
        let copied = std::io::copy(&mut archive.take(SIZE), &mut File::create(path)?)?;
        tar.kill()?;
        tar.wait()?;
        ensure!(copied == SIZE, "/usr/bin and /usr/lib have {copied} bytes only; {SIZE} are needed");
        Ok(())
    })
}

/// A file of the same size whose bytes do not compress.
pub(in super::super) fn random(bench: &Bench) -> Result<PathBuf> {
    bench.input("random", |path| {
        let copied = std::io::copy(&mut File::open("/dev/urandom")?.take(SIZE), &mut File::create(path)?)?;
        ensure!(copied == SIZE, "/dev/urandom gave {copied} bytes");
        Ok(())
    })
}

/// A disk of 4 GiB that holds [`real`] twice and is a hole elsewhere.
pub(super) fn large(bench: &Bench) -> Result<PathBuf> {
    let real = real(bench)?;
    bench.input("large", |path| {
        let mut disk = File::create(path)?;
        for at in [0, 2 << 30] {
            disk.seek(SeekFrom::Start(at))?;
            std::io::copy(&mut File::open(&real)?, &mut disk)?;
        }
        Ok(disk.set_len(4 << 30)?)
    })
}

/// An image of `payload` as its only segment, [`SEGMENT`]; `options` are those of `pixelrts pack`.
pub(super) fn image(bench: &Bench, name: &str, payload: &Path, options: &[&str]) -> Result<PathBuf> {
    bench.output(name, |path| time(&mut pack(payload, options, path)).map(drop))
}

/// The name of that segment, and of the file in a squashfs.
pub(super) const SEGMENT: &str = "kernel";

/// Packs `payload` into `image`.
pub(in super::super) fn pack(payload: &Path, options: &[&str], image: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command.args(["--quiet", "pack", "--kernel"]).arg(payload).args(options).arg("-o").arg(image);
    command
}

/// A squashfs of `payload` as its only file, compressed with gzip at zlib's default level.
pub(super) fn squashfs(bench: &Bench, name: &str, payload: &Path) -> Result<PathBuf> {
    bench.input(name, |path| {
        let folder = bench.scratch(&format!("{name}.folder"));
        std::fs::create_dir(&folder)?;
        std::fs::hard_link(payload, folder.join(SEGMENT))?;
        let mut make = Command::new("mksquashfs");
        make.arg(&folder).arg(path).args(["-quiet", "-comp", "gzip", "-Xcompression-level", "6"]);
        time(&mut make).map(drop)
    })
}

/// A disk of `size` bytes that holds `start` at its beginning and is a hole behind it.
pub(super) fn sparse(path: &Path, start: &[u8], size: u64) -> Result<()> {
    let mut file = File::create(path)?;
    file.write_all(start)?;
    Ok(file.set_len(size)?)
}
