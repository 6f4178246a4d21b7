//! The backend as a service: how long it is away after a crash.

mod crash;

use std::path::Path;

use anyhow::Result;

use super::Bench;
use super::report::Row;

/// `containers`: a value for `CONTAINERS_CONF`, where containers need one here.
pub(super) fn measure(bench: &Bench, containers: Option<&Path>) -> Result<Vec<Row>> {
    crash::measure(bench, containers)
}
