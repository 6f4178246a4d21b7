//! `GET /api/v1/health`.

use serde::{Deserialize, Serialize};

use crate::problem::Problem;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackendHealth {
    pub status: HealthStatus,
    pub version: String,
    pub uptime_seconds: u64,
    pub modules: Vec<ModuleHealth>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    Ok,
    /// Something is missing or does not work; the rest works.
    Degraded,
    /// A module could not be loaded, and requests that need it are refused.
    Excluded,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModuleHealth {
    pub name: String,
    pub state: HealthStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// Sent on the backend's health socket, a line of JSON.
pub const PING: &str = "{\"type\":\"ping\"}\n";
/// What it answers.
pub const PONG: &str = "{\"type\":\"pong\"}\n";
