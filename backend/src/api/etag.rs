//! Documents that clients request again and again have an `ETag`, so that the response is 304 when nothing changed.
//!
//! The tag is weak, because a document is the same whether it is sent compressed or not.

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::encoding::{WORTH_IT, accepts, gzip};

/// A small document as JSON, or 304 when the client has it already.
pub(super) fn json(request_headers: &HeaderMap, document: &impl Serialize) -> Response {
    Document::new(serde_json::to_vec(document).expect("wire types are plain data").into()).reply(request_headers)
}

/// A document that was made once and is sent often.
#[derive(Debug)]
pub(super) struct Document {
    etag: String,
    plain: Bytes,
    /// Absent where it would save nothing.
    compressed: std::sync::OnceLock<Bytes>,
}

impl Document {
    pub(super) fn new(json: Bytes) -> Self {
        Self { etag: tag(&json), plain: json, compressed: std::sync::OnceLock::new() }
    }

    /// The document, or 304 when the client has it already.
    pub(super) fn reply(&self, request_headers: &HeaderMap) -> Response {
        if matches(request_headers, &self.etag) {
            return not_modified(&self.etag);
        }
        if self.plain.len() >= WORTH_IT && accepts(request_headers, "gzip") {
            let compressed = self.compressed.get_or_init(|| gzip(&self.plain));
            return found(&self.etag, compressed.clone(), true);
        }
        found(&self.etag, self.plain.clone(), false)
    }

    /// Compresses it now, where that may take a while.
    pub(super) fn compress(self) -> Self {
        self.compressed.get_or_init(|| gzip(&self.plain));
        self
    }
}

/// The tag of what these bytes say.
pub(super) fn tag(bytes: &[u8]) -> String {
    format!("W/\"{}\"", hex::encode(&Sha256::digest(bytes)[..16]))
}

pub(super) fn not_modified(etag: &str) -> Response {
    (StatusCode::NOT_MODIFIED, headers(etag)).into_response()
}

pub(super) fn found(etag: &str, body: impl Into<Body>, compressed: bool) -> Response {
    let mut headers = headers(etag);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if compressed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    (headers, body.into()).into_response()
}

fn headers(etag: &str) -> HeaderMap {
    HeaderMap::from_iter([
        (ETAG, HeaderValue::from_str(etag).expect("hex digits are a header value")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (VARY, HeaderValue::from_static("accept-encoding")),
    ])
}

/// Whether the client has this version already, by its `If-None-Match`.
pub(super) fn matches(request_headers: &HeaderMap, etag: &str) -> bool {
    let lists = request_headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
    tags.any(|tag| tag == etag.trim_start_matches("W/") || tag == "*")
}
