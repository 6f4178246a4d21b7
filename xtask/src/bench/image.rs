//! Images, compared with programs that do the same with other formats: openssl, squashfuse, the plain file.

mod hash;
mod index;
mod limits;
mod mount;
mod mounted;
pub(super) mod payload;
mod predecessor;
mod read;
mod ready;
mod size;
mod update;

use anyhow::Result;

use super::Bench;
use super::report::Row;

type Measure = fn(&Bench) -> Result<Vec<Row>>;

const GOALS: &[(&str, Measure)] = &[
    ("I1", hash::measure),
    ("I2", predecessor::measure),
    ("I3", mount::first_touch),
    ("I4", mount::again),
    ("I5", mount::pages),
    ("I6", limits::hilbert),
    ("I7", size::measure),
    ("I8", ready::measure),
    ("I9", update::measure),
];

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (goal, measure) in GOALS.iter().filter(|(goal, _)| bench.includes(goal)) {
        println!("    {goal}");
        rows.extend(measure(bench)?);
    }
    Ok(rows)
}

/// Measures what this computer can do at all.
pub(super) fn limits(bench: &Bench) -> Result<Vec<Row>> {
    limits::measure(bench)
}
