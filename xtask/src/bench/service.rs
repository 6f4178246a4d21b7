//! The backend as a service: its start, its memory while nothing happens, and how long it is away after a crash.

mod crash;
mod idle;

use anyhow::Result;

use super::Bench;
use super::report::Row;
use crate::container_image::Containers;

pub(super) fn measure(bench: &Bench, containers: &Containers) -> Result<Vec<Row>> {
    let mut rows = idle::measure(bench)?;
    rows.extend(crash::measure(bench, containers)?);
    Ok(rows)
}
