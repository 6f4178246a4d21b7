//! Asks one server for its catalog.
//!
//! The server is asked at `{base}/api/v1/catalog`. Anything but a 200 with a catalog there leads to
//! `{base}/catalog.json`, which any web server can serve: object stores answer 403 for what they do not have, and
//! single-page applications answer with a page. When neither is a catalog, the failure that says more is told.
//!
//! Small catalogs never wait for others. Of the large ones, a few are read at a time, and each has its turn until it is
//! unpacked, so that what they take while they arrive is limited for all servers together.

use std::sync::Arc;
use std::time::Duration;

use pixelrts_shared::catalog::Catalog;
use pixelrts_shared::left_out::LeftOut;
use pixelrts_shared::text::Text;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH,
};
use reqwest::{Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::pace::{Pace, WINDOW};
use super::read::{Limits, NotACatalog, Read, Reader};
use crate::remote::address::shown;
use crate::remote::client::{self, Client, Endpoint};
use crate::remote::error::{Kind, Sent, cause};
use crate::remote::servers::Version;
use crate::remote::{RemoteError, web_page};
use crate::task::blocking;

/// A catalog whose entries take more memory waits for its turn. A thousand entries take a quarter of this.
const SMALL: usize = 4 << 20;
/// So many large catalogs are read and unpacked at a time.
const LARGE_AT_ONCE: usize = 2;
/// A longer ETag is not kept.
const MOST_ETAG: usize = 256;
/// Where a catalog may be, in the order in which these are asked for.
const PLACES: [&str; 2] = ["api/v1/catalog", "catalog.json"];
/// The encodings that are read. A server that sends another one is told so.
const ENCODINGS: &str = "gzip";

/// Asks servers. Clones share the turns of large catalogs.
#[derive(Clone, Debug)]
pub struct Asker {
    client: Client,
    large: Arc<Semaphore>,
    /// See `pace`.
    window: Duration,
}

/// What somebody wants to know of a server before it is listed.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// As the server calls itself.
    pub name: Text,
    /// How many entries can be used.
    pub entries: usize,
    pub left_out: LeftOut,
    pub latency: Duration,
}

#[derive(Debug)]
pub(super) struct Answer {
    /// `None`: the version that is known is still right.
    pub(super) catalog: Option<Fetched>,
    /// Until the whole answer was there.
    pub(super) latency: Duration,
}

/// A catalog that has arrived.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) read: Read,
    pub(super) version: Option<Version>,
    /// Kept until the catalog is unpacked; a small one has none.
    pub(super) turn: Option<OwnedSemaphorePermit>,
}

impl Asker {
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, large: Arc::new(Semaphore::new(LARGE_AT_ONCE)), window: WINDOW }
    }

    /// Looks at a server's catalog. Nothing of it is kept.
    pub async fn look(&self, server: &Endpoint) -> Result<Seen, RemoteError> {
        let Answer { catalog, latency } = self.ask(server, None).await?;
        let Fetched { read, .. } = catalog.ok_or_else(|| RemoteError::new(&server.name, not_asked_for()))?;
        Ok(Seen { name: read.name, entries: read.entries.count(), left_out: read.left_out, latency })
    }

    /// The catalog of a server, unless it is still of the known version.
    pub(super) async fn ask(&self, server: &Endpoint, known: Option<&Version>) -> Result<Answer, RemoteError> {
        let started = Instant::now();
        let mut failure: Option<RemoteError> = None;
        for place in PLACES {
            let known = known.filter(|known| known.place == place);
            match self.ask_at(server, place, known).await {
                Ok(catalog) => return Ok(Answer { catalog, latency: started.elapsed() }),
                // Whatever the first place said, this is why the second one is not known.
                Err(error) if !has_answered(&error.kind) => return Err(error),
                Err(error) => {
                    let says_more = failure.as_ref().is_none_or(|first| says(&error.kind) > says(&first.kind));
                    failure = if says_more { Some(error) } else { failure };
                }
            }
        }
        Err(failure.unwrap_or_else(|| RemoteError::new(&server.name, not_asked_for())))
    }

    async fn ask_at(
        &self,
        server: &Endpoint,
        place: &str,
        known: Option<&Version>,
    ) -> Result<Option<Fetched>, RemoteError> {
        let failed = |kind| RemoteError::new(&server.name, kind);
        let url = server.base.join(place).map_err(|error| failed(Kind::BadCatalog(error.to_string().into())))?;
        let mut headers = HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("application/json")),
            (ACCEPT_ENCODING, HeaderValue::from_static(ENCODINGS)),
        ]);
        headers.extend(known.and_then(|known| Some((IF_NONE_MATCH, known.etag.parse().ok()?))));
        let client::Answer { response, url, .. } = self.client.ask(server, &url, headers).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if known.is_some() => return Ok(None),
            _ => return Err(failed(client::status_kind(&response, &url))),
        }
        check_encoding(&response).map_err(failed)?;
        let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
        let etag = etag.filter(|etag| etag.len() <= MOST_ETAG).map(str::to_owned);
        let version = etag.map(|etag| Version { place: place.to_owned(), etag });
        let (read, turn) = self.read(server, &url, response).await?;
        Ok(Some(Fetched { read, version, turn }))
    }

    async fn read(
        &self,
        server: &Endpoint,
        url: &Url,
        mut response: Response,
    ) -> Result<(Read, Option<OwnedSemaphorePermit>), RemoteError> {
        let failed = |kind| RemoteError::new(&server.name, kind);
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let says_page = kind.starts_with("text/html");
        let broken = |error| failed(kind_of(error, url, says_page));
        let mut reader = Reader::new(Some(server.base.clone()), Limits::SERVER);
        let mut pace = Pace::new(Instant::now(), self.window);
        let mut turn: Option<OwnedSemaphorePermit> = None;
        loop {
            let chunk = match timeout_at(pace.until(), response.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => return Ok((reader.finish().map_err(broken)?, turn)),
                Ok(Err(error)) => {
                    let sent = Sent { url: response.url(), proxy: None, limit: self.window };
                    return Err(failed(cause(&error, sent)));
                }
                Err(_) if pace.goes_on() => continue,
                Err(_) => {
                    let (bytes_per_second, over) = pace.rate();
                    return Err(failed(Kind::TooSlow { bytes_per_second, over }));
                }
            };
            pace.arrived(chunk.len());
            let pushed;
            // A piece may be inflated to a thousand times its length, so it is read away from the async threads.
            (reader, pushed) = blocking(move || {
                let pushed = reader.push(&chunk);
                (reader, pushed)
            })
            .await;
            pushed.map_err(broken)?;
            if reader.weight() > SMALL && turn.is_none() {
                let asked = Instant::now();
                turn = self.large.clone().acquire_owned().await.ok();
                pace.paused(asked.elapsed());
            }
        }
    }
}

/// Whether a server that fails so was reached. Otherwise its other place is not reached either.
fn has_answered(kind: &Kind) -> bool {
    says(kind) > 0
}

/// How much a failure says about a server that has answered: a broken catalog more than a refusal, which many servers
/// send for whatever they do not have, and that more than a page, which some send for whatever is asked.
fn says(kind: &Kind) -> u8 {
    match kind {
        Kind::BadCatalog(_) | Kind::Version { .. } => 6,
        Kind::Busy { .. } | Kind::BadReply(_) => 5,
        Kind::Denied(_) => 4,
        Kind::Status(_) => 3,
        Kind::WebPage { .. } | Kind::Redirect(_) | Kind::Egress(_) => 2,
        Kind::NotFound(_) | Kind::Gone(_) => 1,
        _ => 0,
    }
}

/// Headers say too often that a body is gzip when it is not, and the other way round, so only what the body can not be
/// is refused here.
fn check_encoding(response: &Response) -> Result<(), Kind> {
    let mut encodings = response.headers().get_all(CONTENT_ENCODING).iter();
    let known = |encoding: &HeaderValue| {
        matches!(encoding.as_bytes().to_ascii_lowercase().as_slice(), b"gzip" | b"x-gzip" | b"identity" | b"")
    };
    match encodings.find(|encoding| !known(encoding)) {
        None => Ok(()),
        Some(other) => {
            let other = Text::<40>::new(&String::from_utf8_lossy(other.as_bytes()));
            Err(Kind::BadReply(format!("the catalog is encoded as \"{other}\", but only gzip was asked for").into()))
        }
    }
}

fn not_asked_for() -> Kind {
    Kind::BadReply("it answered that nothing changed, which was not asked for".into())
}

fn kind_of(error: NotACatalog, url: &Url, says_page: bool) -> Kind {
    match error {
        NotACatalog::Markup(start) if says_page || web_page::is_web_page(start.as_bytes()) => {
            Kind::WebPage { address: shown(url), title: web_page::title(start.as_bytes()) }
        }
        NotACatalog::Format(Some(found)) => Kind::Version { found, reads: Catalog::FORMAT },
        other => Kind::BadCatalog(other.to_string().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixelrts_testing::fault_server::FaultServer;

    #[tokio::test]
    async fn a_server_that_drips_is_too_slow() {
        let server = FaultServer::start(*b"an image");
        let asker = Asker { window: Duration::from_secs(1), ..Asker::new(Client::default()) };
        let base: Url = format!("{}/", server.base("catdrip")).parse().unwrap();
        let started = Instant::now();
        let error = asker.look(&Endpoint::new("x".into(), base)).await.unwrap_err();
        assert!(matches!(error.kind, Kind::TooSlow { .. }), "{error}");
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    }
}
