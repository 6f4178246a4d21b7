//! A download whose process is killed 20 times: the bytes and the time that this costs, compared with one that is left
//! alone. The server counts the bytes, and sends them at the speed of a good line.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pixelrts_testing::fault_server::FaultServer;

use super::super::backend::command;
use super::super::paired::{Paired, Spread, rounds, time};
use super::super::report::Row;
use super::super::{BINARY, Bench};

const KILLS: u64 = 20;
/// Bytes per second, as of a line of 200 Mbit/s.
const RATE: u64 = 25_000_000;
const DEADLINE: Duration = Duration::from_secs(300);

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let image = super::fetch::image(bench)?;
    let size = image.metadata()?.len();
    let home = bench.scratch("kills");
    let fault = format!("rate/{RATE}");
    let mut extra = Vec::new();
    let mut whole = |kills: u64| -> Result<Duration> {
        if home.exists() {
            std::fs::remove_dir_all(&home)?;
        }
        let server = FaultServer::start(std::fs::read(&image)?);
        let fetch = || {
            let mut fetch = command(BINARY, &home);
            fetch.args(["--quiet", "fetch", &server.image(&fault)]);
            fetch
        };
        let since = Instant::now();
        for kill in 1..=kills {
            kill_at(fetch(), || server.image_bytes(&fault) >= size * kill / (kills + 1))?;
        }
        time(&mut fetch())?;
        let took = since.elapsed();
        if kills > 0 {
            extra.push((server.image_bytes(&fault) as f64 / size as f64 - 1.0) * 100.0);
        }
        Ok(took)
    };
    let whole = std::cell::RefCell::new(&mut whole);
    let [killed, alone] = rounds([&mut || (whole.borrow_mut())(KILLS), &mut || (whole.borrow_mut())(0)])?;
    // The first round is not counted.
    let Spread { median, min, max } = Spread::of(extra.into_iter().skip(1));
    let note = format!("{} MB at {} MB/s, {KILLS} kills", size / 1_000_000, RATE / 1_000_000);
    Ok(vec![
        Row {
            id: "W4",
            what: "bytes sent beyond the file, download killed 20 times",
            goal: "<= 1 % + one buffer per kill",
            measured: format!("{median:.2} % ({min:.2} to {max:.2})"),
            note: note.clone(),
        },
        Row {
            note,
            ..Row::paired(
                "W4",
                "time of that download, against one that is left alone",
                "<= 1.05x",
                Paired::of(&killed, &alone),
            )
        },
    ])
}

/// Starts a command, and kills it when the moment has come.
fn kill_at(mut command: Command, is_now: impl Fn() -> bool) -> Result<()> {
    let mut child = command.spawn().context(BINARY)?;
    let since = Instant::now();
    while !is_now() {
        ensure!(child.try_wait()?.is_none(), "the download ended before it was killed");
        ensure!(since.elapsed() < DEADLINE, "the download makes no progress");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill()?;
    child.wait()?;
    Ok(())
}
