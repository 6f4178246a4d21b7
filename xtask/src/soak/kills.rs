//! One download whose process is killed 100 times at different moments.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pixelrts_testing::fault_server::FaultServer;

use super::Outcome;
use crate::bench::command;
use crate::build::BINARY;

const KILLS: u64 = 100;
const SIZE: usize = 64 << 20;
const RATE: u64 = 4_000_000;
/// What may be on the way when a process dies.
const BUFFER: u64 = 1 << 20;

pub(super) fn run() -> Result<Outcome> {
    let scratch = tempfile::tempdir_in("target")?;
    let image = image(scratch.path(), SIZE)?;
    let server = FaultServer::start(image);
    let (fault, home) = (format!("rate/{RATE}"), scratch.path().join("home"));
    let since = Instant::now();
    for kill in 1..=KILLS {
        let mut fetch = command(BINARY, &home);
        let mut child = fetch.args(["--quiet", "fetch", &server.image(&fault)]).spawn().context(BINARY)?;
        while server.image_bytes(&fault) < server.size() * kill / (KILLS + 1) {
            ensure!(child.try_wait()?.is_none(), "the download ended before kill {kill}");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill()?;
        child.wait()?;
    }
    let status = command(BINARY, &home).args(["--quiet", "fetch", &server.image(&fault)]).status()?;
    let sent = server.image_bytes(&fault);
    let mut failures = Vec::new();
    if !status.success() {
        failures.push(format!("the last fetch ended with {status}"));
    }
    if sent > server.size() + KILLS * BUFFER {
        failures.push(format!("{sent} bytes were sent for {}", server.size()));
    }
    Ok(Outcome {
        what: "kills of a download".into(),
        count: usize::try_from(KILLS)?,
        failures,
        note: format!(
            "{} MB, of which {:.1} % were sent twice; {:.0} s",
            server.size() / 1_000_000,
            (sent as f64 / server.size() as f64 - 1.0) * 100.0,
            since.elapsed().as_secs_f64()
        ),
    })
}

/// An image of so many bytes that do not compress.
pub(super) fn image(scratch: &std::path::Path, size: usize) -> Result<Vec<u8>> {
    let (kernel, image) = (scratch.join("kernel"), scratch.join("image.rts.png"));
    let mut state = 1_u32;
    let bytes = (0..size).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    std::fs::write(&kernel, bytes.collect::<Vec<u8>>())?;
    let mut pack = Command::new(BINARY);
    pack.args(["--quiet", "pack", "--compress", "none", "--kernel"]).arg(&kernel).arg("-o").arg(&image);
    ensure!(pack.stdout(std::process::Stdio::null()).status()?.success(), "packing an image failed");
    Ok(std::fs::read(image)?)
}
