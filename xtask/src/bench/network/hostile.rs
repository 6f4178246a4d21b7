//! 50 servers of which 10 mean harm: the memory and the log of a backend that asks all of them again and again.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use pixelrts_testing::fault_server::FaultServer;

use super::super::Bench;
use super::super::backend::Backend;
use super::super::paired::{Spread, round_count};
use super::super::report::Row;

const GOOD: usize = 40;
const ENTRIES: usize = 1000;
/// Each of them alone is a catalog server that floods, lies or never ends.
const HOSTILE: [&str; 10] = [
    "catsevens",
    "catsevens/2",
    "cat100m",
    "cat100m/2",
    "catdeep",
    "catgarbage",
    "catname",
    "cathead",
    "catdrip",
    "entries/400000",
];
/// All servers have answered by then, or were given up.
const REFRESH: Duration = Duration::from_secs(25);
const REST: Duration = Duration::from_secs(2);

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let (mut memory, mut lines) = (Vec::new(), Vec::new());
    let rounds = round_count().div_ceil(2);
    for _ in 0..rounds {
        let server = FaultServer::start(*b"not needed");
        let good: Vec<_> = (1..=GOOD).map(|number| server.base(&format!("entries/{ENTRIES}/{number}"))).collect();
        let hostile: Vec<_> = HOSTILE.iter().map(|fault| server.base(fault)).collect();
        let rest = one(bench, &good, REST)?;
        let all = one(bench, &[good, hostile].concat(), REFRESH)?;
        memory.push(all.peak - rest.rest);
        lines.push((all.lines.saturating_sub(rest.lines)) as f64);
    }
    let row = |what, goal, unit: &str, values: Vec<f64>| {
        let Spread { median, min, max } = Spread::of(values.into_iter());
        let measured = format!("{median:.0} {unit} ({min:.0} to {max:.0})");
        Row { id: "F4", what, goal, measured, note: format!("{rounds} rounds; 40 good servers, 1,000 entries each") }
    };
    Ok(vec![
        row("refresh of 50 servers, 10 of them hostile: memory above rest", "<= 64 MiB", "MiB", memory),
        row("log lines of that refresh", "<= 100 lines", "lines", lines),
    ])
}

struct Seen {
    rest: f64,
    peak: f64,
    lines: usize,
}

/// A backend with these servers, for so long after it shows what the good ones have.
fn one(bench: &Bench, servers: &[String], time: Duration) -> Result<Seen> {
    let home = bench.scratch("hostile");
    if home.exists() {
        std::fs::remove_dir_all(&home)?;
    }
    let backend = Backend::start(&home, &[], &[("PIXELRTS_SERVERS", servers.join(","))])?;
    let since = Instant::now();
    let all = GOOD * (ENTRIES - 1);
    while backend.get("/api/v1/catalog/remote")?.matches("\"sources\":").count() < all {
        ensure!(since.elapsed() < Duration::from_secs(60), "the good servers are not shown");
        std::thread::sleep(Duration::from_millis(200));
    }
    std::thread::sleep(time);
    let (rest, peak) = (backend.memory()?, backend.peak_memory()?);
    let stopped = backend.stop()?;
    Ok(Seen { rest, peak, lines: stopped.log(&home)?.lines().count() })
}
