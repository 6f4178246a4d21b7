//! Catalogs: what a server offers, and the merged view of all servers.

mod arrangement;
mod listed;

use serde::{Deserialize, Serialize};

use crate::boot_decision::{ImageWishes, Wisher, wish_format};
use crate::image_status::Status;
use crate::problem::Problem;
use crate::server::Health;
use crate::text::{LongText, Text};
use crate::{Digest, EntryId, ServerId};

pub use arrangement::{Move, Moved, Moves, Place, Position};
pub use listed::{
    Broken, CatalogCopy, CatalogDelta, CatalogPage, CatalogServer, ListedEntry, ListedSource, default_url, errors,
};

/// What a catalog server offers: the answer of `GET /api/v1/catalog`, and the file `catalog.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// The version of this document: 1.
    pub format: u32,
    pub name: Text,
    /// RFC 3339, UTC, if the server keeps to that.
    pub generated_at: Text,
    pub entries: Vec<Entry>,
}

impl Catalog {
    pub const FORMAT: u32 = 1;
}

impl MergedEntry {
    /// All in which people search: each of their words has to be somewhere in it.
    #[must_use]
    pub fn searched(&self) -> String {
        let Self { entry, sources, .. } = self;
        let optional = [&entry.version, &entry.distro, &entry.architecture, &entry.kernel_version];
        let texts = [entry.name.as_str(), entry.id.as_str()]
            .into_iter()
            .chain(optional.into_iter().flatten().map(|text| text.as_str()))
            .chain(entry.description.as_deref())
            .chain(entry.tags.iter().map(|tag| tag.as_str()))
            .chain(sources.iter().map(|source| source.name.as_str()));
        texts.collect::<Vec<_>>().join("\n")
    }

    /// What its description asks for a machine.
    #[must_use]
    pub fn wishes(&self) -> ImageWishes {
        ImageWishes::of(&self.entry, if self.described_by.is_some() { Wisher::Catalog } else { Wisher::Image })
    }
}

/// One image on one server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub id: EntryId,
    pub name: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<LongText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distro: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_version: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmdline: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Text>,
    /// The size of the file, in bytes.
    pub size: u64,
    /// The digest of the whole file.
    pub sha256: Digest,
    /// The index digest; only streamable images have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_sha256: Option<Digest>,
    #[serde(default)]
    pub segments: Vec<SegmentSummary>,
    /// The size of the picture, in pixels: the shell knows its proportions before the picture arrives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// What the image asks for, as in `2G`, and in the words of the image: it may be nonsense.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "wish_format::memory")]
    pub memory: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "wish_format::count")]
    pub cpus: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net: Option<String>,
    /// Relative to the catalog's base; absent: `{base}/api/v1/images/{sha256}.rts.png`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Relative to the catalog's base; absent: `{base}/api/v1/thumbnails/{sha256}.png`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<String>,
}

impl Entry {
    /// An image of which little is known.
    #[must_use]
    pub fn bare(id: EntryId, name: Text, size: u64, sha256: Digest) -> Self {
        Self {
            id,
            name,
            description: None,
            version: None,
            distro: None,
            architecture: None,
            kernel_version: None,
            cmdline: None,
            tags: Vec::new(),
            size,
            sha256,
            index_sha256: None,
            segments: Vec::new(),
            width: None,
            height: None,
            memory: None,
            cpus: None,
            net: None,
            url: None,
            thumbnail: None,
        }
    }
}

/// One segment as the catalog lists it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentSummary {
    pub name: Text,
    pub role: Role,
    /// In bytes.
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
}

/// What a segment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Kernel,
    Initrd,
    Disk,
    #[serde(other)]
    Other,
}

/// All servers at once, one entry per digest: the answer of `GET /api/v1/catalog/remote`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MergedCatalog {
    /// Names what the entries were: `since` of the next request.
    #[serde(default)]
    pub revision: String,
    /// RFC 3339, UTC.
    pub generated_at: String,
    /// Servers are being asked at this moment, so this may change soon.
    pub stale: bool,
    pub entries: Vec<MergedEntry>,
    /// What is wrong with which server. A server that fails never hides the others.
    #[serde(default)]
    pub errors: Vec<ServerError>,
}

/// One image with all the servers that offer it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MergedEntry {
    /// What is shown of the image: its own words once it is here, before that those of the best source.
    #[serde(flatten)]
    pub entry: Entry,
    /// The server whose words `entry` has; absent: the image itself, which is on this computer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub described_by: Option<ServerId>,
    /// In the order in which they are tried, this computer first. An image that is only in the cache has none.
    pub sources: Vec<Source>,
    /// The whole image is on this computer, verified: in the download cache or in a local folder.
    pub cached: bool,
    /// Where a person has put it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// A person likes it best.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub favorite: bool,
    /// When the backend listed the image first, whoever offered it. RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<String>,
    /// When a machine was booted from it last. RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<String>,
    pub status: Status,
}

/// An entry on a server. What the server says of the image counts for this source only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub server: ServerId,
    /// The server's name for people.
    pub name: Text,
    pub id: EntryId,
    /// In bytes.
    #[serde(default)]
    pub size: u64,
    /// Where the bytes are; absent for local images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    pub health: Health,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerError {
    pub server: ServerId,
    pub problem: Problem,
}

/// The answer of `PUT /api/v1/catalog/import`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Imported {
    /// The SHA-256 of the image.
    pub key: Digest,
    pub id: EntryId,
    pub name: Text,
    /// The name of its file, in the folder of the local catalog.
    pub file: String,
}
