//! The backend as a service: how it starts, what it takes while nothing happens, how long it is away after a crash.

mod crash;
mod idle;

use std::path::Path;

use anyhow::Result;

use super::Bench;
use super::report::Row;

/// `containers`: a value for `CONTAINERS_CONF`, where containers need one here.
pub(super) fn measure(bench: &Bench, containers: Option<&Path>) -> Result<Vec<Row>> {
    let mut rows = idle::measure(bench)?;
    rows.extend(crash::measure(bench, containers)?);
    Ok(rows)
}
