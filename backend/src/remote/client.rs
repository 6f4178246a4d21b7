//! The HTTP client for catalog servers, with all limits in one place.
//!
//! The client requests `{base}/api/v1/catalog`. When the answer is not a 200 with JSON, it requests
//! `{base}/catalog.json`, which any web server can serve. Bodies are never decoded on the way, so that the bytes that
//! are hashed are those that were sent.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use pixelrts_shared::catalog::Catalog;
use pixelrts_shared::{Digest, Problem};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{RequestBuilder, Response, StatusCode, redirect};
use rustls::ClientConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::error::Kind;
use super::{ClientError, RemoteError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For a whole catalog.
const CATALOG_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest time between two pieces of a body, and until the head of a response.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(15);
/// Enough for 50,000 entries of 160 bytes. A server that sends more means harm.
const CATALOG_LIMIT: usize = 8 << 20;
const THUMBNAIL_LIMIT: usize = 4 << 20;
const MOST_REDIRECTS: usize = 5;

/// Clones share the connections.
#[derive(Clone, Debug)]
pub struct Client(reqwest::Client);

/// Where a server is, its name for people, and the token that it gets.
#[derive(Clone)]
pub struct Endpoint {
    pub name: String,
    /// Ends in `/`.
    pub base: Url,
    pub auth: Option<String>,
}

/// A catalog that can be used.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub catalog: Catalog,
    /// As it was sent.
    pub document: String,
    /// Until the whole catalog was there.
    pub latency: Duration,
    /// Entries that were left out, with the reason.
    pub left_out: Vec<String>,
}

impl Client {
    /// Trusts the certificate authorities of this computer; with `tls`, only those that it names.
    pub fn new(tls: Option<ClientConfig>) -> Result<Self, ClientError> {
        // A second call fails because the first provider is installed. Both are the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
        let client = reqwest::Client::builder()
            .user_agent(concat!("pixelrts/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::custom(follow))
            .referer(false);
        let client = match tls {
            Some(tls) => client.tls_backend_preconfigured(tls),
            None => client,
        };
        client.build().map(Self).map_err(|error| {
            let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            ClientError(cause)
        })
    }

    /// The catalog of a server.
    pub async fn catalog(&self, server: &Endpoint) -> Result<Fetched, RemoteError> {
        let started = Instant::now();
        let both = async {
            match self.catalog_at(server, "api/v1/catalog").await {
                Ok(found) => Ok(found),
                // The server cannot be reached, so its other address cannot be reached either.
                Err(error) if !matches!(error.kind, Kind::NotFound(_) | Kind::Status(_) | Kind::BadCatalog(_)) => {
                    Err(error)
                }
                Err(first) => self.catalog_at(server, "catalog.json").await.map_err(|second| match second.kind {
                    // Of the two failures, a broken catalog says more than a missing one.
                    Kind::NotFound(_) => first,
                    _ => second,
                }),
            }
        };
        let fetched = tokio::time::timeout(CATALOG_TIMEOUT, both).await;
        let (catalog, document, left_out) =
            fetched.map_err(|_| RemoteError::new(&server.name, Kind::Timeout(CATALOG_TIMEOUT)))??;
        Ok(Fetched { catalog, document, latency: started.elapsed(), left_out })
    }

    async fn catalog_at(&self, server: &Endpoint, path: &str) -> Result<(Catalog, String, Vec<String>), RemoteError> {
        let bad = |why: String| RemoteError::new(&server.name, Kind::BadCatalog(why));
        let url = server.base.join(path).map_err(|error| bad(error.to_string()))?;
        let json = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        let response = self.get(server, &url, json).await?;
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.starts_with("text/html") {
            return Err(bad(format!("{url} is a web page, not a catalog")));
        }
        let body = self.body(server, response, CATALOG_LIMIT).await?;
        let document = String::from_utf8(body).map_err(|_| bad("it is no UTF-8 text".to_owned()))?;
        let (catalog, left_out) = read_catalog(&document).map_err(bad)?;
        Ok((catalog, document, left_out))
    }

    /// A small picture.
    pub async fn thumbnail(&self, server: &Endpoint, url: &Url) -> Result<Vec<u8>, RemoteError> {
        let fetched = async {
            let response = self.get(server, url, HeaderMap::new()).await?;
            self.body(server, response, THUMBNAIL_LIMIT).await
        };
        let limit = tokio::time::timeout(CATALOG_TIMEOUT, fetched).await;
        limit.map_err(|_| RemoteError::new(&server.name, Kind::Timeout(CATALOG_TIMEOUT)))?
    }

    /// Calls the API of a backend, with POST when there is a body. A problem in the response becomes the error.
    pub async fn json<T: DeserializeOwned>(
        &self,
        backend: &Endpoint,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Problem> {
        let response = self.api(backend, path, body).await?;
        let body = self.body(backend, response, CATALOG_LIMIT).await?;
        serde_json::from_slice(&body)
            .map_err(|error| RemoteError::new(&backend.name, Kind::BadReply(error.to_string())).into())
    }

    /// A long response of a backend's API, piece by piece.
    pub async fn stream(
        &self,
        backend: &Endpoint,
        path: &str,
    ) -> Result<impl Stream<Item = Result<Bytes, RemoteError>> + Unpin + use<>, Problem> {
        let response = self.api(backend, path, None::<&()>).await?;
        Ok(Box::pin(stream::try_unfold((response, backend.name.clone()), |(mut response, name)| async move {
            Ok(next_chunk(&name, &mut response).await?.map(|piece| (piece, (response, name))))
        })))
    }

    async fn api(&self, backend: &Endpoint, path: &str, body: Option<&impl Serialize>) -> Result<Response, Problem> {
        let bad = |why: String| RemoteError::new(&backend.name, Kind::BadReply(why));
        let url = backend.base.join(path).map_err(|error| bad(error.to_string()))?;
        let request = match body {
            Some(body) => self.0.post(url.clone()).json(body),
            None => self.0.get(url.clone()),
        };
        let response = self.send(backend, &url, request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let kind = status_kind(response.status(), &url);
        let body = self.body(backend, response, CATALOG_LIMIT).await?;
        Err(serde_json::from_slice(&body).unwrap_or_else(|_| RemoteError::new(&backend.name, kind).into()))
    }

    /// The head of a response whose status must be 200.
    async fn get(&self, server: &Endpoint, url: &Url, headers: HeaderMap) -> Result<Response, RemoteError> {
        let response = self.ask(server, url, headers).await?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        Err(RemoteError::new(&server.name, status_kind(response.status(), url)))
    }

    /// The head of a response with any status.
    pub(super) async fn ask(&self, server: &Endpoint, url: &Url, headers: HeaderMap) -> Result<Response, RemoteError> {
        let response = self.send(server, url, self.0.get(url.clone()).headers(headers)).await?;
        match response.headers().get(CONTENT_ENCODING) {
            Some(encoding) if encoding != "identity" => Err(RemoteError::new(
                &server.name,
                Kind::BadReply(format!("the answer is encoded as {encoding:?}, which was not asked for")),
            )),
            _ => Ok(response),
        }
    }

    /// The token is sent only to the server's own origin.
    async fn send(&self, server: &Endpoint, url: &Url, request: RequestBuilder) -> Result<Response, RemoteError> {
        let request = match &server.auth {
            Some(auth) if url.origin() == server.base.origin() => request.bearer_auth(auth),
            _ => request,
        };
        let answer = tokio::time::timeout(STALL_TIMEOUT, request.send()).await;
        answer
            .map_err(|_| RemoteError::new(&server.name, Kind::Timeout(STALL_TIMEOUT)))?
            .map_err(|error| RemoteError::network(&server.name, &error, CONNECT_TIMEOUT))
    }

    async fn body(&self, server: &Endpoint, mut response: Response, limit: usize) -> Result<Vec<u8>, RemoteError> {
        let mut body = Vec::new();
        while let Some(chunk) = next_chunk(&server.name, &mut response).await? {
            if body.len() + chunk.len() > limit {
                let why = format!("it is larger than {} MiB", limit >> 20);
                return Err(RemoteError::new(&server.name, Kind::BadCatalog(why)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// The next piece of a body. It fails when none arrives in time.
pub(super) async fn next_chunk(server: &str, response: &mut Response) -> Result<Option<bytes::Bytes>, RemoteError> {
    match tokio::time::timeout(STALL_TIMEOUT, response.chunk()).await {
        Err(_) => Err(RemoteError::new(server, Kind::Timeout(STALL_TIMEOUT))),
        Ok(Err(error)) => Err(RemoteError::network(server, &error, STALL_TIMEOUT)),
        Ok(Ok(chunk)) => Ok(chunk),
    }
}

pub(super) fn status_kind(status: StatusCode, url: &Url) -> Kind {
    match status.as_u16() {
        404 | 410 => Kind::NotFound(url.clone()),
        401 | 403 => Kind::Denied(status.as_u16()),
        other => Kind::Status(other),
    }
}

/// A secure connection is never redirected to an insecure one, and only http and https are followed.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let from = attempt.previous().last().map(|url| url.scheme().to_owned()).unwrap_or_default();
    let to = attempt.url().scheme().to_owned();
    if attempt.previous().len() > MOST_REDIRECTS {
        return attempt.error(format!("more than {MOST_REDIRECTS} redirects"));
    }
    match (from.as_str(), to.as_str()) {
        ("http", "http" | "https") | ("https", "https") => attempt.follow(),
        _ => attempt.error(format!("a redirect from {from} to {to}")),
    }
}

/// Reads a catalog entry by entry, so that a bad entry is left out and the others stay.
pub(super) fn read_catalog(document: &str) -> Result<(Catalog, Vec<String>), String> {
    #[derive(serde::Deserialize)]
    struct Loose {
        format: u32,
        #[serde(default)]
        name: String,
        #[serde(default)]
        generated_at: String,
        entries: Vec<serde_json::Value>,
    }
    let loose: Loose = serde_json::from_str(document).map_err(|error| format!("it is no catalog: {error}"))?;
    if loose.format != Catalog::FORMAT {
        return Err(format!("its format is {}, this version reads {}", loose.format, Catalog::FORMAT));
    }
    let mut left_out = Vec::new();
    let mut seen = std::collections::HashSet::<Digest>::new();
    let mut entries = Vec::new();
    for value in loose.entries {
        let id = value["id"].as_str().unwrap_or("?").chars().take(64).collect::<String>();
        match serde_json::from_value::<pixelrts_shared::catalog::Entry>(value) {
            Ok(entry) if seen.insert(entry.sha256) => entries.push(entry),
            Ok(_) => left_out.push(format!("{id}: listed twice")),
            Err(error) => left_out.push(format!("{id}: {error}")),
        }
    }
    Ok((Catalog { format: loose.format, name: loose.name, generated_at: loose.generated_at, entries }, left_out))
}

/// The token must not appear in logs.
impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("name", &self.name).field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_entry_costs_that_entry_only() {
        let good = format!(r#"{{"id":"a","name":"A","size":1,"sha256":"{}"}}"#, "0".repeat(64));
        let document = format!(
            r#"{{"format":1,"name":"x","entries":[{good},{good},{{"id":"b","name":"B","size":1}},{{"id":"../c"}},7]}}"#
        );
        let (catalog, left_out) = read_catalog(&document).unwrap();
        assert_eq!(catalog.entries.len(), 1);
        assert_eq!(left_out.len(), 4);
        assert!(left_out[1].contains("sha256"), "{left_out:?}");
    }

    #[test]
    fn other_documents_are_refused() {
        for document in ["", "[]", "{}", r#"{"format":2,"entries":[]}"#, r#"{"format":1}"#, "<html>"] {
            assert!(read_catalog(document).is_err(), "{document}");
        }
    }
}
