//! The merged view in parts, for clients that keep it: pages to begin with, then what has changed since.
//!
//! What every entry would repeat is said once: the name, the address and the health of a server. [`CatalogCopy`] puts
//! the parts together again.

mod copy;

use serde::{Deserialize, Serialize};

use super::{Entry, Position};
use crate::image_status::Status;
use crate::server::{Health, HealthState};
use crate::text::Text;
use crate::{Digest, EntryId, ServerId};

pub use copy::{Broken, CatalogCopy, default_url, errors};

/// The answer of `GET /api/v1/catalog/remote?limit=N&after=CURSOR`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CatalogPage {
    /// The revision at which the first of these pages was made: deltas since it make up for what has changed meanwhile.
    pub revision: String,
    /// RFC 3339, UTC.
    pub generated_at: String,
    pub stale: bool,
    /// How many entries there are on all pages.
    pub total: u64,
    /// Only the first page has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<CatalogServer>,
    pub entries: Vec<ListedEntry>,
    /// The value of `after` for the next page; absent: this is the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The answer of `GET /api/v1/catalog/remote?since=REVISION`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CatalogDelta {
    /// What `since` is to be the next time.
    pub revision: String,
    /// RFC 3339, UTC.
    pub generated_at: String,
    pub stale: bool,
    /// The changes cannot be told: begin again with the first page. Nothing is listed then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub full: bool,
    pub servers: Vec<CatalogServer>,
    /// New, or in place of the entry with this digest.
    pub changed: Vec<ListedEntry>,
    pub removed: Vec<Digest>,
}

/// A server whose images are in the view; this computer is one of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CatalogServer {
    pub id: ServerId,
    /// For people.
    pub name: Text,
    /// Ends in `/`; absent for this computer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    pub health: Health,
}

/// A [`MergedEntry`](super::MergedEntry) without what [`CatalogServer`] says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListedEntry {
    #[serde(flatten)]
    pub entry: Entry,
    /// The server whose description `entry` is; absent: the image itself, which is on this computer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub described_by: Option<ServerId>,
    /// In the order in which they are tried, this computer first. An image that is only in the cache has none.
    pub sources: Vec<ListedSource>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cached: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub favorite: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<String>,
    pub status: Status,
}

/// What one server says of an image, where that is not what is expected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListedSource {
    pub server: ServerId,
    /// Absent: the id of the entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<EntryId>,
    /// Absent: the size of the entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Absent: `{url of the server}api/v1/images/{sha256}.rts.png`. This computer has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `down`, when the server does not answer; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<HealthState>,
}
