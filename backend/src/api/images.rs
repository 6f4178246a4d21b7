//! `/images/{sha256}.rts.png`: the bytes of an image of this computer.
//!
//! The name is the digest, so that a response never changes and the digest is its strong validator. `Range`, `If-Range`,
//! `If-Match`, `If-None-Match` and HEAD work as in RFC 9110; `Repr-Digest` (RFC 9530) repeats the promise.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MATCH, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pixelrts_shared::{Digest, Problem, ProblemCode};

use super::etag;
use super::extract::Path;
use super::range::{Part, requested};
use super::responses::ProblemResponse;
use super::state::Public;
use crate::catalog::CheckedFile;

const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

pub(super) async fn image(
    State(public): State<Arc<Public>>,
    Path(file): Path<String>,
    request_headers: HeaderMap,
) -> Result<Response, ProblemResponse> {
    let digest = file.strip_suffix(".rts.png").and_then(|name| name.parse().ok()).ok_or_else(|| missing(&file))?;
    let image = public.offered.file(&digest).await?.ok_or_else(|| missing(&file))?;
    Ok(file_reply(image, &request_headers)?)
}

/// A verified file under its digest, as much of it as the request wants. The bytes come from the descriptor that was
/// checked, and the response breaks when somebody writes into the file meanwhile.
pub(super) fn file_reply(file: CheckedFile, request_headers: &HeaderMap) -> Result<Response, Problem> {
    let (headers, part) = match reply_head(file.digest(), file.size(), request_headers)? {
        Ok(head) => head,
        Err(not_modified) => return Ok(not_modified),
    };
    let (status, range) = match part {
        Some(range) => (StatusCode::PARTIAL_CONTENT, range),
        None => (StatusCode::OK, 0..file.size()),
    };
    Ok((status, headers, Body::from_stream(file.pieces(range))).into_response())
}

/// The head of the response and the requested part, or a complete 304.
#[expect(clippy::type_complexity, reason = "a head with its part, or a whole response")]
fn reply_head(
    digest: &Digest,
    size: u64,
    request_headers: &HeaderMap,
) -> Result<Result<(HeaderMap, Option<std::ops::Range<u64>>), Response>, Problem> {
    let etag = format!("\"{digest}\"");
    let text = |name: HeaderName| request_headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(list) = text(IF_MATCH)
        && list != "*"
        && !list.split(',').any(|tag| tag.trim() == etag)
    {
        let why = format!("The image here has the digest {digest}.");
        let fix = "Send the request again without If-Match.";
        return Err(Problem::new(ProblemCode::PreconditionFailed, "This is a different image.", why, fix));
    }
    let mut headers = image_headers(digest);
    if etag::matches(request_headers, &etag) {
        return Ok(Err((StatusCode::NOT_MODIFIED, headers).into_response()));
    }
    // A range of another version is useless to the client, so it gets the whole image.
    let range = text(RANGE).filter(|_| text(IF_RANGE).is_none_or(|known| known == etag));
    let part = match requested(range, size) {
        Part::Whole => None,
        Part::Bytes(range) => Some(range),
        Part::Outside => {
            let why = format!("The image has {size} bytes.");
            let fix = "Request a range within the image.";
            return Err(Problem::new(ProblemCode::RangeNotSatisfiable, "The range lies outside the image.", why, fix));
        }
    };
    let mut insert = |name, text: String| headers.insert(name, HeaderValue::from_str(&text).expect("plain text"));
    insert(CONTENT_LENGTH, part.as_ref().map_or(size, |range| range.end - range.start).to_string());
    if let Some(range) = &part {
        insert(CONTENT_RANGE, format!("bytes {}-{}/{size}", range.start, range.end - 1));
    }
    Ok(Ok((headers, part)))
}

/// Headers that identify the image.
pub(super) fn image_headers(digest: &Digest) -> HeaderMap {
    let value = |text: String| HeaderValue::from_str(&text).expect("hex digits and base64 are header values");
    HeaderMap::from_iter([
        (ETAG, value(format!("\"{digest}\""))),
        (CONTENT_TYPE, HeaderValue::from_static("image/png")),
        (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        (REPR_DIGEST, value(format!("sha-256=:{}:", BASE64_STANDARD.encode(digest.as_bytes())))),
    ])
}

fn missing(file: &str) -> Problem {
    Problem::new(
        ProblemCode::EntryNotFound,
        format!("There is no image {file} here."),
        "It is neither in the folders nor in the cache of this server.",
        "Request /api/v1/catalog to see which images are here.",
    )
}
