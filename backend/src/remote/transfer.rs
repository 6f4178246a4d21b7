//! One try to fetch the missing bytes of an image from one server.
//!
//! A resume sends `Range`, `If-Range` and `If-Match`, so that a server whose file has changed says so. After a response
//! that does not fit exactly (200 instead of 206, a wrong `Content-Range`, 412, 416) the download begins again with the
//! first byte. Bytes beyond the announced size end the try. Whether the bytes are right is decided later, by their
//! digest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pixelrts_shared::ServerId;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_MATCH, IF_RANGE, RANGE};
use reqwest::{Response, StatusCode};
use url::Url;

use super::client::{Answer, Client, Endpoint, next_chunk, status_kind};
use super::error::{Kind, RemoteError};
use crate::cache::{CacheError, Partial};
use crate::task;

/// Bytes are hashed and written in pieces of this size, away from the async threads...
const PIECE: usize = 256 << 10;
/// ...or after this time, so that progress on a slow line is seen.
const FLUSH_EVERY: Duration = Duration::from_millis(200);

/// A place where the bytes of an image are: a server, and an address on it.
#[derive(Clone, Debug)]
pub struct Mirror {
    pub server: ServerId,
    pub endpoint: Endpoint,
    pub url: Url,
    /// The size of the image in bytes, as far as this server's catalog announces it.
    pub size: Option<u64>,
}

/// Is called after every piece with the number of bytes that have arrived and, where it is known, of all bytes.
pub(super) trait Tell: FnMut(u64, Option<u64>) + Send {}
impl<F: FnMut(u64, Option<u64>) + Send> Tell for F {}

/// Fetches what is missing. After a failure, the bytes that have arrived stay in the partial file.
pub(super) async fn attempt(
    client: &Client,
    mirror: &Mirror,
    partial: &Arc<Partial>,
    tell: &mut impl Tell,
) -> Result<(), RemoteError> {
    let name = mirror.endpoint.name.as_str();
    let local = |error: CacheError| RemoteError::new(name, Kind::Cache(error));
    let size = mirror.size;
    if size.is_some_and(|size| partial.received() > size) {
        partial.restart().map_err(local)?;
    }
    if size == Some(partial.received()) {
        return Ok(());
    }
    let (mut response, total) = open(client, mirror, partial, size).await?;
    if let Some(total) = total {
        partial.reserve(total.saturating_sub(partial.received())).map_err(local)?;
    }
    tell(partial.received(), total);
    let mut waiting: Vec<Bytes> = Vec::new();
    let mut waiting_bytes = 0;
    let mut flushed = Instant::now();
    loop {
        let chunk = next_chunk(name, &mut response).await;
        let over = !matches!(chunk, Ok(Some(_)));
        if let Ok(Some(chunk)) = &chunk {
            waiting_bytes += chunk.len();
            waiting.push(chunk.clone());
        }
        let found = partial.received() + waiting_bytes as u64;
        if let Some(expected) = total.filter(|total| found > *total) {
            return Err(RemoteError::new(name, Kind::Length { expected, found }));
        }
        if waiting_bytes >= PIECE || over || flushed.elapsed() >= FLUSH_EVERY {
            let missing = total.map_or(waiting_bytes as u64, |total| total - partial.received());
            append(partial, std::mem::take(&mut waiting), missing).await.map_err(local)?;
            waiting_bytes = 0;
            flushed = Instant::now();
            tell(partial.received(), total);
        }
        match chunk {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => return Err(error),
        }
    }
    match total.filter(|total| partial.received() < *total) {
        Some(total) => {
            let why = format!("the answer ended after {} of {total} bytes", partial.received());
            Err(RemoteError::new(name, Kind::Interrupted(why.into())))
        }
        None => Ok(()),
    }
}

/// Requests the rest, or the whole image when the rest alone is not available. Returns the number of all bytes too.
async fn open(
    client: &Client,
    mirror: &Mirror,
    partial: &Partial,
    size: Option<u64>,
) -> Result<(Response, Option<u64>), RemoteError> {
    let name = mirror.endpoint.name.as_str();
    if partial.received() > 0 {
        let Answer { response, url, .. } =
            client.ask(&mirror.endpoint, &mirror.url, resume(partial, &mirror.url)).await?;
        let range = response.headers().get(CONTENT_RANGE).and_then(|range| content_range(range.to_str().ok()?));
        match response.status() {
            StatusCode::PARTIAL_CONTENT => match range {
                Some((start, end, total))
                    if start == partial.received() && end + 1 == total && size.is_none_or(|size| size == total) =>
                {
                    return Ok((response, Some(total)));
                }
                _ => tracing::info!(server = %mirror.server, ?range, "a wrong Content-Range; starting again"),
            },
            StatusCode::OK | StatusCode::PRECONDITION_FAILED | StatusCode::RANGE_NOT_SATISFIABLE => {
                tracing::info!(server = %mirror.server, status = %response.status(), "no resume; starting again");
            }
            _ => return Err(RemoteError::new(name, status_kind(&response, &url))),
        }
        partial.restart().map_err(|error| RemoteError::new(name, Kind::Cache(error)))?;
        if response.status() == StatusCode::OK {
            return whole(mirror, partial, size, response, &url);
        }
    }
    let Answer { response, url, .. } = client.ask(&mirror.endpoint, &mirror.url, HeaderMap::new()).await?;
    whole(mirror, partial, size, response, &url)
}

fn whole(
    mirror: &Mirror,
    partial: &Partial,
    size: Option<u64>,
    response: Response,
    url: &Url,
) -> Result<(Response, Option<u64>), RemoteError> {
    let name = mirror.endpoint.name.as_str();
    if response.status() != StatusCode::OK {
        return Err(RemoteError::new(name, status_kind(&response, url)));
    }
    let text = |header| response.headers().get(header).and_then(|value: &HeaderValue| value.to_str().ok());
    let length = text(CONTENT_LENGTH).and_then(|length| length.parse().ok());
    if let (Some(expected), Some(found)) = (size, length)
        && expected != found
    {
        return Err(RemoteError::new(name, Kind::Length { expected, found }));
    }
    // Only a strong validator proves that the bytes are the same.
    if let Some(etag) = text(ETAG).filter(|etag| etag.starts_with('"')) {
        partial.set_version(mirror.url.as_str(), etag).map_err(|error| RemoteError::new(name, Kind::Cache(error)))?;
    }
    Ok((response, size.or(length)))
}

fn resume(partial: &Partial, url: &Url) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let range = HeaderValue::from_str(&format!("bytes={}-", partial.received()));
    headers.insert(RANGE, range.expect("digits are a header value"));
    if let Some(etag) = partial.version(url.as_str()).and_then(|etag| HeaderValue::from_str(&etag).ok()) {
        headers.insert(IF_RANGE, etag.clone());
        headers.insert(IF_MATCH, etag);
    }
    headers
}

/// `bytes 5-9/10` as (first, last, total). An unknown total (`*`) is not a usable answer to a resume.
fn content_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, total) = (first.parse().ok()?, last.parse().ok()?, total.parse().ok()?);
    (first <= last && last < total).then_some((first, last, total))
}

/// Hashes and writes on a thread that may block. A cancelled download leaves the piece whole or unwritten.
async fn append(partial: &Arc<Partial>, pieces: Vec<Bytes>, missing: u64) -> Result<(), CacheError> {
    if pieces.is_empty() {
        return Ok(());
    }
    let partial = partial.clone();
    task::blocking(move || pieces.iter().try_for_each(|piece| partial.append(piece, missing))).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_a_complete_content_range_counts() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, 9, 10)));
        for text in ["", "bytes 5-9/*", "bytes */10", "bytes 9-5/10", "bytes 5-10/10", "5-9/10", "bytes 5-/10"] {
            assert_eq!(content_range(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_content_range_panics(text in "(bytes )?[0-9*/ -]{0,30}") {
            if let Some((first, last, total)) = content_range(&text) {
                prop_assert!(first <= last && last < total);
            }
        }
    }
}
