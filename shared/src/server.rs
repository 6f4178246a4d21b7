//! Catalog servers as the user lists them.

use serde::{Deserialize, Serialize};

use crate::ServerId;
use crate::problem::Problem;

/// One listed catalog server. Secrets are never sent back: `auth` only says whether there is one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Server {
    pub id: ServerId,
    pub name: String,
    pub url: String,
    /// A CSS colour, `#rrggbb`; absent: the shell chooses one by order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Lower is tried first.
    pub priority: u32,
    pub enabled: bool,
    /// There is a secret for it.
    pub auth: bool,
    /// The configuration sets it: it can be changed only there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub configured: bool,
    pub health: Health,
}

/// The body of `POST /api/v1/servers`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewServer {
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    /// Sent as `Authorization: Bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<String>,
}

/// The body of `PATCH /api/v1/servers/{id}`: what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerChange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<String>,
}

/// The body of `POST /api/v1/servers/check`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerCheck {
    pub url: String,
}

/// What `POST /api/v1/servers/check` found there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerFound {
    pub name: String,
    pub entries: usize,
    pub latency_ms: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Health {
    pub state: HealthState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// RFC 3339, UTC; absent: not asked yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<Problem>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthState {
    /// Not asked yet.
    #[default]
    Unknown,
    Up,
    Down,
}
