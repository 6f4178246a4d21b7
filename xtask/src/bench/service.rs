//! The backend as a service: its start, its memory while nothing happens, and how long it is away after a crash.

mod crash;
mod idle;

use std::path::Path;

use anyhow::Result;

use super::Bench;
use super::report::Row;

/// `containers` is a file for `CONTAINERS_CONF`, when containers need one on this computer.
pub(super) fn measure(bench: &Bench, containers: Option<&Path>) -> Result<Vec<Row>> {
    let mut rows = idle::measure(bench)?;
    rows.extend(crash::measure(bench, containers)?);
    Ok(rows)
}
