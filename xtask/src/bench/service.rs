//! The backend as a service: how it starts, and what it takes while nothing happens.

mod idle;

use anyhow::Result;

use super::Bench;
use super::report::Row;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    idle::measure(bench)
}
