//! Documents that clients request again and again have an `ETag`, so that the response is 304 when nothing changed.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// The document as JSON, or 304 when the client has it already.
pub(super) fn json(request_headers: &HeaderMap, document: &impl Serialize) -> Response {
    let body = serde_json::to_vec(document).expect("wire types are plain data");
    let etag = format!("\"{}\"", hex::encode(&Sha256::digest(&body)[..16]));
    let headers = [(ETAG, etag.clone()), (CACHE_CONTROL, "no-cache".to_owned())];
    if matches(request_headers, &etag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, [(CONTENT_TYPE, "application/json")], body).into_response()
}

/// Whether the client has this version already, by its `If-None-Match`.
pub(super) fn matches(request_headers: &HeaderMap, etag: &str) -> bool {
    let lists = request_headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
    tags.any(|tag| tag == etag || tag == "*")
}
