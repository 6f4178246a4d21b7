//! From the start of the command to the first console byte, beside plain QEMU with the same arguments on plain files.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::paired::{Paired, compare, time};
use super::report::Row;
use super::{BINARY, Bench, SAMPLES};

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
    let ours = |image: &Path| {
        let mut command = by_itself(image);
        command.args(["--cmdline", cmdline]);
        command
    };
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
        boot_files(&mut command, &files, cmdline);
        command
    };
    let typed = || {
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-nographic", "-no-reboot", "-m", "512M"]);
        boot_files(&mut command, &files, cmdline);
        command
    };
    // Kernel and initrd uncompressed, as `pack --boot-files inflate` stores them, and the samples' command line.
    let inflated = bench.output("inflated-boot.rts.png", |path| {
        let mut pack = Command::new(BINARY);
        pack.arg("pack").arg("--kernel").arg(files.join("kernel")).arg("--initrd").arg(files.join("initrd"));
        pack.args(["--boot-files", "inflate", "--cmdline", &format!("{cmdline} quiet"), "-o"]).arg(path);
        time(&mut pack).map(drop)
    })?;
    let first = |command: &mut Command| until_console(command, "Linux version");
    let userspace = |command: &mut Command| until_console(command, "pixelrts#");
    let mut rows = Vec::new();
    let mut row = |id, what, goal, measure: &dyn Fn() -> Result<Paired>| {
        if bench.wants(id) {
            rows.push(Row::paired(id, what, goal, measure()?));
        }
        Ok::<_, anyhow::Error>(())
    };
    row(
        "B5",
        "boot to the first kernel line, time against QEMU with the same arguments on plain files",
        "<= 1.10x",
        &|| compare(|| first(&mut ours(&image)), || first(&mut same())),
    )?;
    row("M1", "boot to userspace, time against QEMU with the same arguments on plain files", "<= 1.03x", &|| {
        compare(|| userspace(&mut ours(&image)), || userspace(&mut same()))
    })?;
    row(
        "M2",
        "boot to userspace, boot files inflated, time against `qemu -kernel -initrd -nographic`",
        "<= 0.75x",
        &|| compare(|| userspace(&mut by_itself(&inflated)), || userspace(&mut typed())),
    )?;
    row(
        "",
        "boot to userspace, boot files as shipped, time against `qemu -kernel -initrd -nographic`",
        "none",
        &|| compare(|| userspace(&mut ours(&image)), || userspace(&mut typed())),
    )?;
    Ok(rows)
}

fn boot_files(command: &mut Command, files: &Path, cmdline: &str) {
    command
        .arg("-kernel")
        .arg(files.join("kernel"))
        .arg("-initrd")
        .arg(files.join("initrd"))
        .args(["-append", cmdline]);
}

/// Time from the start of `command` until its standard output holds `marker`; the command is ended then.
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
    // SIGTERM, so that ours cleans up as it does for a person.
    Command::new("kill").arg(child.id().to_string()).status()?;
    child.wait()?;
    Ok(elapsed)
}
