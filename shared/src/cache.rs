//! The cache of images: what is in it, and what was removed from it.

use serde::{Deserialize, Serialize};

use crate::text::Text;
use crate::{Digest, EntryId, Span};

/// The response to `GET /api/v1/cache`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CacheContents {
    /// Of everything together, in bytes: images, incomplete downloads, pictures.
    pub size: u64,
    /// The largest size that the cache may have (`cache.max_size`), in bytes.
    pub limit: u64,
    /// Images that were not used for longer than this are removed when a server can give them again (`cache.ttl`).
    pub ttl: Span,
    /// The image that was used last comes first.
    pub items: Vec<CachedImage>,
    #[serde(default)]
    pub incomplete: Vec<IncompleteImage>,
    /// The size of all small pictures, in bytes.
    #[serde(default)]
    pub pictures: u64,
}

/// A complete, verified image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CachedImage {
    pub sha256: Digest,
    pub size: u64,
    /// What the image calls itself, or the catalog that offers it.
    pub name: Text,
    /// The ids under which servers offer it.
    #[serde(default)]
    pub ids: Vec<EntryId>,
    /// The server that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When its bytes were hashed; absent: they will be before its next use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<String>,
    /// What the clock said when it was used last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<String>,
    /// How long this computer has run since then.
    pub idle_seconds: u64,
    /// A person has pinned it.
    pub pinned: bool,
    /// A machine uses it.
    pub in_use: bool,
    pub last_booted: bool,
    /// A server that answers offers it, so it can be fetched again.
    pub available: bool,
}

/// A download that is not complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IncompleteImage {
    /// The digest of the image where it is known, else a hash of its address.
    pub key: Digest,
    pub size: u64,
    /// It is being downloaded.
    pub active: bool,
}

/// What was removed, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CacheCleared {
    /// The number of bytes that were freed.
    pub freed: u64,
    pub removed: Vec<Removed>,
    /// Images that stay, with the reason.
    #[serde(default)]
    pub kept: Vec<KeptHere>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Removed {
    /// Absent for small pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Digest>,
    pub what: RemovedKind,
    pub size: u64,
    /// As a sentence without its full stop.
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RemovedKind {
    Image,
    Incomplete,
    Picture,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptHere {
    pub sha256: Digest,
    pub why: String,
}
