//! Fetching from servers and being one, compared with curl, aria2c and nginx. All servers are on loopback.

mod fetch;
mod hostile;
mod kills;
mod many;
mod requests;
mod serve;

use anyhow::Result;

use super::Bench;
use super::report::Row;

type Measure = fn(&Bench) -> Result<Vec<Row>>;

pub(super) const GOALS: &[(&str, Measure)] = &[
    ("W1", fetch::measure),
    ("W4", kills::measure),
    ("W5", serve::measure),
    ("W7", many::measure),
    ("F4", hostile::measure),
];

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (goal, measure) in GOALS.iter().filter(|(goal, _)| bench.includes(goal)) {
        println!("    {goal}");
        rows.extend(measure(bench)?);
    }
    Ok(rows)
}
