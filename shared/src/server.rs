//! Catalog servers as the user lists them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::address::shown;
use crate::left_out::LeftOut;
use crate::problem::Problem;
use crate::text::Text;
use crate::{Digest, ServerId};

/// One listed catalog server. Secrets are never sent back: `auth` only says whether there is one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Server {
    pub id: ServerId,
    pub name: Text,
    pub url: String,
    /// A CSS colour, `#rrggbb`; absent: the shell chooses one by order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Servers with a lower number are tried first.
    pub priority: u32,
    pub enabled: bool,
    /// Whether there is a secret for this server.
    pub auth: bool,
    /// Other origins to which it may lead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Digest>,
    /// The configuration sets this server, so it can be changed only there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub configured: bool,
    pub health: Health,
}

/// The body of `POST /api/v1/servers`.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewServer {
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    /// Sent as `Authorization: Bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<String>,
    /// Sent with the password as `Authorization: Basic`, instead of `auth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Other origins to which this server may lead, as in `http://10.0.0.5:9000`. Public addresses need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<String>>,
    /// The file of the authorities (PEM) that sign this server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// The SHA-256 of this server's certificate, which is trusted then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
}

/// The body of `PATCH /api/v1/servers/{id}`: what is absent stays, and an empty text removes. When the address changes,
/// secrets, trust and allowed origins of the old one are dropped.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerChange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<String>,
    /// Sent with the password as `Authorization: Basic`, instead of `auth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Other origins to which this server may lead, as in `http://10.0.0.5:9000`. Public addresses need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<String>>,
    /// The file of the authorities (PEM) that sign this server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// The SHA-256 of this server's certificate, which is trusted then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
}

/// The body of `POST /api/v1/servers/check`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerCheck {
    pub url: String,
}

/// What `POST /api/v1/servers/check` or `POST /api/v1/servers/{id}/check` found there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerFound {
    pub name: Text,
    /// How many entries of its catalog can be used.
    pub entries: usize,
    pub latency_ms: u64,
    #[serde(default, skip_serializing_if = "LeftOut::is_empty")]
    pub left_out: LeftOut,
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
    /// Seconds until a server that failed is asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_check_seconds: Option<u64>,
    /// Entries of its catalog that cannot be used.
    #[serde(default, skip_serializing_if = "LeftOut::is_empty")]
    pub left_out: LeftOut,
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

/// The secret must not appear in logs.
impl fmt::Debug for NewServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewServer").field("name", &self.name).field("url", &shown(&self.url)).finish_non_exhaustive()
    }
}

/// The secret must not appear in logs.
impl fmt::Debug for ServerChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.as_deref().map(shown);
        f.debug_struct("ServerChange").field("name", &self.name).field("url", &url).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_tells_no_secret() {
        let (url, auth) = ("http://u:hunter2@h".to_owned(), Some("hunter2".to_owned()));
        let change = ServerChange { url: Some(url.clone()), auth: auth.clone(), ..ServerChange::default() };
        let new = NewServer { url, auth, ..NewServer::default() };
        let said = format!("{new:?} {change:?}");
        assert!(!said.contains("hunter2") && said.contains("@h"), "{said}");
    }
}
