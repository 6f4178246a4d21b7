//! Two servers of one image, each with random faults, for many seeds: the image must arrive, and nothing else.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;
use pixelrts_testing::fault_server::FaultServer;

use super::Outcome;
use super::kills::image;
use crate::bench::command;
use crate::build::BINARY;

const AT_ONCE: usize = 4;
/// The second server behaves after so many faults, so the image can always be had.
const FAULTS: u64 = 4;
const BUFFER: u64 = 4 << 20;

pub(super) fn run(seeds: u64) -> Result<Outcome> {
    let scratch = tempfile::tempdir_in("target")?;
    let server = FaultServer::start(image(scratch.path(), 2 << 20)?);
    let (waiting, failures) = (Mutex::new((0..seeds).collect::<VecDeque<_>>()), Mutex::new(Vec::new()));
    let since = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(seed) = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front() {
                    if let Err(error) = one(&server, scratch.path(), seed) {
                        failures.lock().unwrap_or_else(PoisonError::into_inner).push(format!("seed {seed}: {error:#}"));
                    }
                }
            });
        }
    });
    Ok(Outcome {
        what: "pairs of servers with random faults".into(),
        count: usize::try_from(seeds)?,
        failures: failures.into_inner().unwrap_or_else(PoisonError::into_inner),
        note: format!("{FAULTS} faults each; {:.0} s", since.elapsed().as_secs_f64()),
    })
}

fn one(server: &FaultServer, scratch: &std::path::Path, seed: u64) -> Result<()> {
    let faults = [format!("mix-quick/{seed}/1000"), format!("mix-quick-sound/{seed}/{FAULTS}")];
    let home = scratch.join(format!("home-{seed}"));
    let servers = faults.each_ref().map(|fault| server.base(fault)).join(",");
    let output =
        command(BINARY, &home).args(["--quiet", "fetch", server.sha256()]).env("PIXELRTS_SERVERS", servers).output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let cached = home.join(format!("cache_home/pixelrts/remote/{}.rts.png", server.sha256()));
    anyhow::ensure!(std::fs::metadata(cached)?.len() == server.size(), "the cached file has another size");
    let requests: usize = faults.iter().map(|fault| server.image_requests(fault).len()).sum();
    let sent: u64 = faults.iter().map(|fault| server.image_bytes(fault)).sum();
    anyhow::ensure!(sent <= server.size() + requests as u64 * BUFFER, "{sent} bytes in {requests} requests");
    Ok(std::fs::remove_dir_all(home)?)
}
