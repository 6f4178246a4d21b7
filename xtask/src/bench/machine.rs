//! The time from the start of the command to the first console byte, compared with plain QEMU with the same arguments on
//! plain files.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::paired::{Paired, compare, time};
use super::report::Row;
use super::{BINARY, Bench, SAMPLES};
use crate::command::finish;
use crate::samples::PACKAGES;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let image = Path::new(SAMPLES).join("linux-busybox.rts.png");
    let files = bench.scratch("boot");
    let status = Command::new(BINARY).arg("unpack").arg(&image).arg(&files).status()?;
    ensure!(status.success(), "unpacking {} failed", image.display());
    let cmdline = "console=ttyS0 panic=-1";
    let by_itself = |image: &Path| {
        let mut command = Command::new(BINARY);
        command.arg("--quiet").arg("boot").arg(image).args(["--accel", "tcg", "--memory", "512M", "--cpus", "1"]);
        command.args(["--net", "none"]);
        command
    };
    let shipped = shipped_kernel(bench)?;
    let same = || {
        let mut command = Command::new("qemu-system-x86_64");
        command.args([
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
            "-machine",
            "pc",
            "-accel",
            "tcg",
            "-cpu",
            "max",
        ]);
        command.args(["-vga", "none", "-display", "none", "-m", "512M", "-smp", "1", "-serial", "stdio"]);
        boot_files(&mut command, &shipped, &files.join("initrd"), cmdline);
        command
    };
    let typed = || {
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-nographic", "-no-reboot", "-m", "512M"]);
        boot_files(&mut command, &shipped, &files.join("initrd"), cmdline);
        command
    };
    let as_shipped = bench.output("shipped-boot.rts.png", |path| {
        let mut pack = Command::new(BINARY);
        pack.arg("pack").arg("--kernel").arg(&shipped).arg("--initrd").arg(files.join("initrd"));
        pack.args(["--cmdline", cmdline, "-o"]).arg(path);
        time(&mut pack).map(drop)
    })?;
    let first = |command: &mut Command| until_console(command, "Linux version");
    let userspace = |command: &mut Command| until_console(command, "pixelrts#");
    let mut rows = Vec::new();
    let mut row = |id, what, goal, measure: &dyn Fn() -> Result<Paired>| {
        if bench.includes(id) {
            rows.push(Row::paired(id, what, goal, measure()?));
        }
        Ok::<_, anyhow::Error>(())
    };
    row(
        "B5",
        "boot to the first kernel line, time against QEMU with the same arguments on plain files",
        "<= 1.10x",
        &|| compare(|| first(&mut by_itself(&as_shipped)), || first(&mut same())),
    )?;
    row("M1", "boot to userspace, time against QEMU with the same arguments on plain files", "<= 1.03x", &|| {
        compare(|| userspace(&mut by_itself(&as_shipped)), || userspace(&mut same()))
    })?;
    row(
        "M2",
        "boot of the sample to userspace, time against `qemu -kernel -initrd -nographic` with the kernel as shipped",
        "<= 0.75x",
        &|| compare(|| userspace(&mut by_itself(&image)), || userspace(&mut typed())),
    )?;
    row("", "boot to userspace of an image with the kernel as shipped and that command line", "none", &|| {
        compare(|| userspace(&mut by_itself(&as_shipped)), || userspace(&mut typed()))
    })?;
    Ok(rows)
}

fn boot_files(command: &mut Command, kernel: &Path, initrd: &Path, cmdline: &str) {
    command.arg("-kernel").arg(kernel).arg("-initrd").arg(initrd).args(["-append", cmdline]);
}

/// The sample's kernel before it was inflated, from the package that the samples were made of.
fn shipped_kernel(bench: &Bench) -> Result<PathBuf> {
    let folder = bench.scratch("kernel");
    let found = newest(Path::new(PACKAGES), "linux-image-")?;
    finish(Command::new("dpkg-deb").arg("-x").arg(found).arg(&folder))?;
    newest(&folder.join("boot"), "vmlinuz-")
}

/// The file of a folder that was changed last, of those whose names begin with `begin`.
fn newest(folder: &Path, begin: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?.flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(begin));
    let last = named.max_by_key(|entry| entry.metadata().and_then(|about| about.modified()).ok());
    last.map(|entry| entry.path()).with_context(|| format!("no {begin} in {}", folder.display()))
}

/// The time from the start of `command` until its standard output contains `marker`. The command is ended then.
fn until_console(command: &mut Command, marker: &str) -> Result<Duration> {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("starting {command:?}"))?;
    let mut stdout = child.stdout.take().context("standard output is piped")?;
    let (mut seen, mut chunk) = (Vec::new(), [0; 4096]);
    let elapsed = loop {
        let read = stdout.read(&mut chunk)?;
        ensure!(read > 0, "{command:?} ended before it printed {marker:?}: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&chunk[..read]);
        if seen.windows(marker.len()).any(|window| window == marker.as_bytes()) {
            break start.elapsed();
        }
    };
    // SIGTERM, so that our command cleans up as it does for a person.
    Command::new("kill").arg(child.id().to_string()).status()?;
    child.wait()?;
    Ok(elapsed)
}
