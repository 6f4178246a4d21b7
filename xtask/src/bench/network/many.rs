//! 50 servers with 1,000 entries each, 5 of them dead or silent: how long it takes until the merged view shows what the
//! others have, and how long until it shows it again after a start without any of them.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pixelrts_testing::fault_server::FaultServer;

use super::super::Bench;
use super::super::backend::Backend;
use super::super::paired::{Paired, Spread, round_count, time};
use super::super::report::Row;

const SERVERS: usize = 50;
const BAD: usize = 5;
const ENTRIES: usize = 1000;
/// When the last of the good servers answers.
const SLOWEST: Duration = Duration::from_millis(500);
const DEADLINE: Duration = Duration::from_secs(60);
/// One entry is the same on all of them.
const ALL: usize = (SERVERS - BAD) * (ENTRIES - 1) + 1;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let (mut view, mut slowest) = (Vec::new(), Vec::new());
    let (mut known, mut rows_read) = (Vec::new(), Vec::new());
    for round in 0..=round_count() {
        let home = bench.scratch("many");
        if home.exists() {
            std::fs::remove_dir_all(&home)?;
        }
        let server = FaultServer::start(*b"not needed");
        let addresses = addresses(&server)?;
        let variables = [("PIXELRTS_SERVERS", addresses.join(","))];
        let slowest_address = format!("{}/api/v1/catalog", addresses[SERVERS - BAD - 1]);
        let took = time(Command::new("curl").args(["-sSf", "-o", "/dev/null", &slowest_address]))?;
        let backend = Backend::start(&home, &[], &variables)?;
        let shown = until_all(&backend)?;
        backend.stop()?;
        drop(server);
        let backend = Backend::start(&home, &[], &variables)?;
        let again = until_all(&backend)?;
        backend.stop()?;
        let read = read_rows(&home)?;
        if round > 0 {
            view.push(shown);
            slowest.push(took);
            known.push(again);
            rows_read.push(read);
        }
    }
    let per_10_000 = |time: &Duration| time.as_secs_f64() * 1e3 * 10_000.0 / ALL as f64;
    let Spread { median, min, max } = Spread::of(known.iter().map(per_10_000));
    let ratio = Paired::of(&known, &rows_read);
    Ok(vec![
        Row::paired(
            "W7",
            "merged view of 45 of 50 servers, 1,000 entries each, time against the slowest one's own answer",
            "<= 1.2x",
            Paired::of(&view, &slowest),
        ),
        Row {
            id: "W7",
            what: "the same from the database, without any server, per 10,000 entries",
            goal: "<= 50 ms",
            measured: format!("{median:.1} ms ({min:.1} to {max:.1})"),
            note: format!(
                "whole answer over HTTP; {:.2}x ({:.2} to {:.2}) of reading these rows with sqlite3",
                ratio.median, ratio.min, ratio.max
            ),
        },
    ])
}

/// The good ones first; then those that refuse, and those that are silent.
fn addresses(server: &FaultServer) -> Result<Vec<String>> {
    let good = SERVERS - BAD;
    let mut all: Vec<_> = (1..=good)
        .map(|number| {
            let delay = SLOWEST.as_millis() * number as u128 / good as u128;
            server.base(&format!("entries/{ENTRIES}/{number}/{delay}"))
        })
        .collect();
    for number in 0..BAD {
        all.push(if number % 2 == 0 {
            let unused = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
            format!("http://{unused}")
        } else {
            server.base(&format!("cathead/{number}"))
        });
    }
    Ok(all)
}

/// The time from now until the whole view was sent that shows the entries of all good servers.
fn until_all(backend: &Backend) -> Result<Duration> {
    let since = Instant::now();
    // As the shell does, this asks for a part until there is more, so that asking is not what is measured.
    loop {
        let page = backend.get("/api/v1/catalog/remote?limit=1")?;
        let total = page.split("\"total\":").nth(1).and_then(|rest| rest.split(',').next());
        let entries: usize = total.context("a page says how many entries there are")?.parse()?;
        if entries >= ALL {
            break;
        }
        ensure!(since.elapsed() < DEADLINE, "{entries} of {ALL} entries after {DEADLINE:?}: {page:.300}");
        std::thread::sleep(Duration::from_millis(5));
    }
    let answer = backend.get("/api/v1/catalog/remote")?;
    let took = since.elapsed();
    let entries = answer.matches("\"sources\":").count();
    ensure!(entries >= ALL, "the whole view has {entries} of {ALL} entries");
    Ok(took)
}

/// The time that sqlite3 needs to read all rows of the database of servers.
fn read_rows(home: &Path) -> Result<Duration> {
    let database = home.join("state_home/pixelrts/servers.sqlite3");
    let tables = crate::command::output("sqlite3", &[&database.to_string_lossy(), ".tables"]).context("sqlite3")?;
    let reads: String = tables.split_whitespace().map(|table| format!("SELECT * FROM {table};")).collect();
    time(Command::new("sqlite3").arg("-readonly").arg(&database).arg(reads))
}
