//! The HTTP client for catalog servers, and for the backend on this computer, with all limits in one place.
//!
//! [`Client::ask`] sends one request and follows its redirects. Each step is judged anew: where it may lead (`egress`),
//! through which proxy, which certificates are trusted, and whether the server's secret goes along, which only its own
//! origin gets. Bodies are never decoded on the way, so that the bytes that are hashed are those that were sent.

mod api;
mod connections;
mod credentials;
mod proxies;
mod redirect;
mod trust;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pixelrts_shared::text::Text;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::{RequestBuilder, Response, StatusCode};
use url::Url;

use super::RemoteError;
use super::address::{host_of, shown};
use super::egress::{self, Origin, Ours, Way};
use super::error::{Kind, Sent, cause};
use connections::{CONNECT_TIMEOUT, Connections, Route};
pub use credentials::Credentials;
pub use proxies::Proxies;
use redirect::Trail;
pub use trust::Trust;

/// For a whole picture.
const PICTURE_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest time between two pieces of a body, and until the head of a response.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(15);
const THUMBNAIL_LIMIT: usize = 4 << 20;
/// So much of a refusal is read for its reason, and for so long.
const REFUSAL: usize = 4 << 10;
const REFUSAL_WITHIN: Duration = Duration::from_secs(2);

/// Clones share the connections.
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

/// Without proxies, and for a process that listens nowhere.
impl Default for Client {
    fn default() -> Self {
        Self::new(Proxies::default(), Ours::default())
    }
}

#[derive(Debug)]
struct Inner {
    connections: Connections,
    proxies: Proxies,
}

/// Where a server is, its name for people, and how it is spoken to.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub name: Text,
    /// Ends in `/`. Its origin is the server's home.
    pub base: Url,
    pub credentials: Option<Credentials>,
    pub trust: Trust,
    /// Other origins to which this server may lead.
    pub allow: Vec<Origin>,
    /// The backend on this computer is never reached through a proxy.
    pub is_own_backend: bool,
}

impl Endpoint {
    /// A server without a secret whose certificate must be signed by a known authority.
    #[must_use]
    pub fn new(name: Text, base: Url) -> Self {
        Self { name, base, credentials: None, trust: Trust::System, allow: Vec::new(), is_own_backend: false }
    }

    /// An address that a person has typed, and the same address without the credentials that it may hold.
    #[must_use]
    pub fn of_address(mut url: Url) -> (Self, Url) {
        let credentials = Credentials::take_from(&mut url);
        (Self { credentials, ..Self::new(host_of(&url), url.clone()) }, url)
    }

    /// The certificates that are right at the end of this way.
    fn trust_for(&self, way: Way) -> &Trust {
        match (way, &self.trust) {
            (Way::Own, trust) | (Way::Allowed, trust @ Trust::Authority(_)) => trust,
            (Way::Allowed | Way::Public, _) => &Trust::System,
        }
    }
}

/// The head of a response with any status but a redirect.
#[derive(Debug)]
pub struct Answer {
    pub response: Response,
    /// Where it came from in the end.
    pub url: Url,
    /// Another address was asked for.
    pub redirected: bool,
}

impl Client {
    /// `ours` are the addresses at which the backend of this process listens.
    #[must_use]
    pub fn new(proxies: Proxies, ours: Ours) -> Self {
        // A second call fails because the first provider is installed. Both are the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self(Arc::new(Inner { connections: Connections::new(ours), proxies }))
    }

    /// Sends a GET and follows its redirects.
    pub(super) async fn ask(&self, server: &Endpoint, url: &Url, headers: HeaderMap) -> Result<Answer, RemoteError> {
        let refused = |kind| RemoteError::new(&server.name, kind);
        let mut trail = Trail::new(url.clone());
        loop {
            let response =
                self.send(server, trail.here(), |client, url| client.get(url).headers(headers.clone())).await?;
            if redirect::is_redirect(response.status()) {
                trail.follow(response.headers().get(LOCATION)).map_err(refused)?;
                continue;
            }
            let mut answer = Answer { response, url: trail.here().clone(), redirected: trail.redirected() };
            if answer.response.status() == StatusCode::BAD_REQUEST && expects_tls(&mut answer).await {
                return Err(refused(Kind::NeedsTls(shown(&answer.url))));
            }
            return Ok(answer);
        }
    }

    /// Sends one request, in the way that its address allows.
    async fn send(
        &self,
        server: &Endpoint,
        url: &Url,
        request: impl FnOnce(&reqwest::Client, Url) -> RequestBuilder,
    ) -> Result<Response, RemoteError> {
        let failed = |kind| RemoteError::new(&server.name, kind);
        let Inner { connections, proxies } = &*self.0;
        let way = egress::judge(&server.base, &server.allow, connections.ours(), url);
        let way = way.map_err(|refusal| failed(Kind::Egress(refusal)))?;
        let proxy = if server.is_own_backend { None } else { proxies.on_the_way_to(url).map_err(failed)? };
        let through = proxy.as_ref().map(shown);
        let route = match (way, proxy) {
            (_, Some(proxy)) => Route::Proxy(proxy),
            (Way::Public, None) => Route::Public,
            (Way::Own | Way::Allowed, None) => Route::Direct,
        };
        let client = connections.client(server.trust_for(way), &route).map_err(failed)?;
        let mut bare = url.clone();
        // What a server writes there is not ours to send.
        let _ = (bare.set_username(""), bare.set_password(None));
        let mut request = request(&client, bare);
        if let Some(credentials) = server.credentials.as_ref().filter(|_| way == Way::Own) {
            request = credentials.on(request);
        }
        let answer = tokio::time::timeout(STALL_TIMEOUT, request.send()).await;
        let sent = Sent { url, proxy: through.as_ref(), limit: CONNECT_TIMEOUT };
        let response =
            answer.map_err(|_| failed(Kind::Timeout(STALL_TIMEOUT)))?.map_err(|error| failed(cause(&error, sent)))?;
        match through {
            Some(proxy) if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Err(failed(Kind::Proxy { proxy, why: "it asks for a name and a password".into() }))
            }
            _ => Ok(response),
        }
    }
}

impl Client {
    /// A small picture.
    pub async fn thumbnail(&self, server: &Endpoint, url: &Url) -> Result<Vec<u8>, RemoteError> {
        let fetched = async {
            let as_it_is = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
            let response = self.get(server, url, as_it_is).await?;
            if let Some(encoding) = compression(response.headers()) {
                let why = format!("the picture is encoded as \"{encoding}\", which was not asked for");
                return Err(RemoteError::new(&server.name, Kind::BadReply(why.into())));
            }
            self.body(server, response, THUMBNAIL_LIMIT).await
        };
        let limit = tokio::time::timeout(PICTURE_TIMEOUT, fetched).await;
        limit.map_err(|_| RemoteError::new(&server.name, Kind::Timeout(PICTURE_TIMEOUT)))?
    }

    /// The head of a response whose status must be 200.
    async fn get(&self, server: &Endpoint, url: &Url, headers: HeaderMap) -> Result<Response, RemoteError> {
        let Answer { response, url, .. } = self.ask(server, url, headers).await?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        Err(RemoteError::new(&server.name, status_kind(&response, &url)))
    }

    async fn body(&self, server: &Endpoint, mut response: Response, limit: usize) -> Result<Vec<u8>, RemoteError> {
        let mut body = Vec::new();
        while let Some(chunk) = next_chunk(&server.name, &mut response).await? {
            if body.len() + chunk.len() > limit {
                let why = format!("it is larger than {} MiB", limit >> 20);
                return Err(RemoteError::new(&server.name, Kind::BadCatalog(why.into())));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// The next piece of a body. It fails when none arrives in time.
pub(super) async fn next_chunk(server: &str, response: &mut Response) -> Result<Option<bytes::Bytes>, RemoteError> {
    let failed = |kind| RemoteError::new(server, kind);
    match tokio::time::timeout(STALL_TIMEOUT, response.chunk()).await {
        Err(_) => Err(failed(Kind::Stalled(STALL_TIMEOUT))),
        Ok(Err(error)) => Err(failed(cause(&error, Sent { url: response.url(), proxy: None, limit: STALL_TIMEOUT }))),
        Ok(Ok(chunk)) => Ok(chunk),
    }
}

/// How a body is compressed, as its head says. Other values of this header are in use too, as `utf-8` and
/// `aws-chunked`, and mean nothing for the body.
pub(super) fn compression(headers: &HeaderMap) -> Option<Text> {
    let known = ["gzip", "x-gzip", "compress", "x-compress", "deflate", "br", "zstd"];
    let said = headers.get_all(CONTENT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut each = said.flat_map(|value| value.split(',')).map(str::trim);
    each.find(|one| known.iter().any(|known| one.eq_ignore_ascii_case(known))).map(Text::new)
}

/// What servers write, in lower case, to whoever speaks plain HTTP to them at a port for TLS: nginx, Apache, Go.
const TLS_ONLY: &[&str] = &[
    "plain http request was sent to https port",
    "speaking plain http to an ssl-enabled server port",
    "client sent an http request to an https server",
];

/// Whether a refusal says that the server is to be spoken to with TLS. Some of the body is read for it.
async fn expects_tls(refusal: &mut Answer) -> bool {
    let mut text = Vec::new();
    let reading = async {
        while text.len() < REFUSAL {
            let Ok(Some(chunk)) = refusal.response.chunk().await else { break };
            text.extend_from_slice(&chunk);
        }
    };
    let _ = tokio::time::timeout(REFUSAL_WITHIN, reading).await;
    let text = String::from_utf8_lossy(&text).to_lowercase();
    refusal.url.scheme() == "http" && TLS_ONLY.iter().any(|words| text.contains(words))
}

/// What a response means that has another status than was hoped for.
pub(super) fn status_kind(response: &Response, url: &Url) -> Kind {
    match response.status().as_u16() {
        404 => Kind::NotFound(shown(url)),
        410 => Kind::Gone(shown(url)),
        denied @ (401 | 403) => Kind::Denied(denied),
        status => match retry_after(response.headers(), SystemTime::now()) {
            Some(wait) if matches!(status, 429 | 503) => Kind::Busy { status, wait: Some(wait) },
            _ if status == 429 => Kind::Busy { status, wait: None },
            _ => Kind::Status(status),
        },
    }
}

/// A longer wait is told as this one; nobody waits as long.
const LONGEST_SAID: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How long the server asks to wait: in seconds, or until a time. That time is compared with the server's own clock,
/// where it says what that is.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let asked = text(RETRY_AFTER)?;
    if !asked.is_empty() && asked.bytes().all(|digit| digit.is_ascii_digit()) {
        // So many digits that no number has them are a long time.
        return Some(Duration::from_secs(asked.parse().unwrap_or(u64::MAX)).min(LONGEST_SAID));
    }
    let until = httpdate::parse_http_date(asked).ok()?;
    let now = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
    Some(until.duration_since(now).unwrap_or_default().min(LONGEST_SAID))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_that_a_server_asks_for_is_in_seconds_or_until_a_time() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let later = now + Duration::from_secs(1000);
        for (asked, date, wait) in [
            ("4", None, Some(4)),
            (" 0 ", None, Some(0)),
            ("Sun, 06 Nov 1994 08:49:57 GMT", None, Some(20)),
            ("Sun, 06 Nov 1994 08:49:57 GMT", Some("Sun, 06 Nov 1994 08:49:47 GMT"), Some(10)),
            ("Sun, 06 Nov 1994 08:49:07 GMT", None, Some(0)),
            ("Sunday, 06-Nov-94 08:49:57 GMT", None, Some(20)),
            ("Sun Nov  6 08:49:57 1994", None, Some(20)),
            ("Wed, 06 Nov 2030 08:49:07 GMT", None, Some(604_800)),
            ("5000", None, Some(5000)),
            ("99999999999999999999999", None, Some(604_800)),
            ("-1", None, None),
            ("1.5", None, None),
            ("", None, None),
            ("soon", None, None),
        ] {
            let mut headers = HeaderMap::from_iter([(RETRY_AFTER, asked.parse().unwrap())]);
            headers.extend(date.map(|date| (DATE, date.parse().unwrap())));
            let clock = if date.is_some() { later } else { now };
            assert_eq!(retry_after(&headers, clock), wait.map(Duration::from_secs), "{asked}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
