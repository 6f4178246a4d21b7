//! Downloads and their progress.

use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::{Digest, DownloadId, ServerId};

/// The body of `POST /api/v1/downloads`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDownload {
    /// An entry's SHA-256, or an id where it is unambiguous.
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerId>,
    /// The answer is the stream of the download, which ends when nobody follows it, unless somebody else wants it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follow: bool,
}

/// One line of `GET /api/v1/downloads/stream` (NDJSON), and an element of `GET /api/v1/downloads`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Download {
    pub id: DownloadId,
    pub key: Digest,
    pub stage: DownloadStage,
    /// The number of bytes that have arrived.
    pub received: u64,
    /// The number of all bytes; absent until the server says it.
    #[serde(default)]
    pub total: Option<u64>,
    #[serde(default)]
    pub percent: Option<f64>,
    /// The average of the last seconds.
    #[serde(default)]
    pub bytes_per_second: Option<u64>,
    #[serde(default)]
    pub eta_seconds: Option<u64>,
    /// The server that sends the bytes.
    #[serde(default)]
    pub source: Option<ServerId>,
    /// 1 for the first try.
    pub attempt: u32,
    /// The time until the next try; absent unless the download waits for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try_seconds: Option<u64>,
    /// What the download waits for, as a sentence for people; absent while it waits for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// Why the download has failed, or why its last try did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DownloadStage {
    Queued,
    Connecting,
    Downloading,
    Verifying,
    Cached,
    Failed,
    Cancelled,
}

impl DownloadStage {
    /// Whether the download has ended.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Cached | Self::Failed | Self::Cancelled)
    }
}
