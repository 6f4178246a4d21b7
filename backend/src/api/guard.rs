//! Decides before routing which requests are allowed.
//!
//! Every page that is open in a browser of this computer can reach a backend on it. So the `Host` must be ours (a page
//! that rebinds its name to 127.0.0.1 still sends its own name), requests that other sites cause are refused, and
//! whatever changes something must come from our own page, or from a program that is not a browser. Beyond this
//! computer a token is needed, too. [`Guard::judge`] is pure, and tables in its tests show its rules.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE};
use axum::http::header::{TRANSFER_ENCODING, UPGRADE};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use pixelrts_shared::{Problem, ProblemCode, paths};

use super::responses::ProblemResponse;
use crate::secrets::Token;

const SESSION_COOKIE: &str = "pixelrts_session";

/// The policy of one listener. Clones share the login.
#[derive(Clone, Debug)]
pub struct Guard(Arc<Policy>);

#[derive(Debug)]
enum Policy {
    /// Role `catalog`: anybody may read, under any host name. A private catalog requires the token.
    Public { token: Option<Token> },
    Shell {
        /// The address of the listener.
        listen: SocketAddr,
        /// Connections use TLS.
        secure: bool,
        /// More host names, with or without a port, in lower case.
        allowed_hosts: Vec<String>,
        /// Required beyond this computer.
        token: Option<Token>,
        /// Logs one browser in, once.
        login: Mutex<Option<Token>>,
    },
}

impl Guard {
    #[must_use]
    pub fn public(token: Option<Token>) -> Self {
        Self(Arc::new(Policy::Public { token }))
    }

    #[must_use]
    pub fn shell(
        listen: SocketAddr,
        secure: bool,
        allowed_hosts: &[String],
        token: Option<Token>,
        login: Option<Token>,
    ) -> Self {
        let allowed_hosts = allowed_hosts.iter().map(|host| host.to_lowercase()).collect();
        Self(Arc::new(Policy::Shell { listen, secure, allowed_hosts, token, login: Mutex::new(login) }))
    }

    /// Whether the request is allowed.
    fn judge(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let (listen, secure, allowed_hosts, token) = match &*self.0 {
            Policy::Public { .. } if !reads => return Err(read_only(method)),
            Policy::Public { token } => {
                let denied = token.as_ref().is_some_and(|token| !has_bearer(token, headers));
                return if denied { Err(private()) } else { Ok(()) };
            }
            Policy::Shell { listen, secure, allowed_hosts, token, .. } => (*listen, *secure, allowed_hosts, token),
        };
        let host = host(uri, headers).ok_or_else(|| wrong_host("the request has no host name, or more than one"))?;
        let ours = ours(&host, listen, secure, allowed_hosts);
        let ours = ours.ok_or_else(|| wrong_host(&format!("the request is for {host:?}")))?;
        let fetch_site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
        let navigates = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
        let to_the_page = navigates && *method == Method::GET && uri.path() == "/";
        if !to_the_page && fetch_site.is_some_and(|site| site != b"same-origin" && site != b"none") {
            return Err(cross_site());
        }
        let bearer = token.as_ref().is_some_and(|token| has_bearer(token, headers));
        let changes = !reads || headers.contains_key(UPGRADE);
        let origin = headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or("?").to_owned());
        match origin {
            Some(origin) if !ours.schemes(secure).iter().any(|scheme| origin == format!("{scheme}://{host}")) => {
                return Err(wrong_origin(&format!("it is {origin}")));
            }
            // A browser always sends where a request comes from. A client that sends nothing of it is not a browser.
            None if changes && !bearer && headers.keys().any(|name| name.as_str().starts_with("sec-fetch-")) => {
                return Err(wrong_origin("a browser sent it without an Origin"));
            }
            // A browser does not send an Origin with a read of the same origin. Its own header, which says that our page
            // sent the request, is as good.
            _ => {}
        }
        if token.is_some() && !bearer && !token.as_ref().is_some_and(|token| has_session(token, headers)) {
            return Err(no_token());
        }
        let has_body = headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|n| n != "0");
        // An image is no JSON, and another site cannot send this method without being asked first.
        let is_image = *method == Method::PUT && uri.path() == paths::CATALOG_IMPORT;
        if !reads && has_body && !is_image && !is_json(headers) {
            return Err(not_json());
        }
        Ok(())
    }

    /// Exchanges `/?login=NONCE` for a session cookie, once.
    fn log_in(&self, request: &Request) -> Option<Response> {
        let Policy::Shell { token: Some(token), login, listen, secure, allowed_hosts } = &*self.0 else { return None };
        let offered = request.uri().query()?.strip_prefix("login=")?;
        let host = host(request.uri(), request.headers())?;
        ours(&host, *listen, *secure, allowed_hosts)?;
        if request.method() != Method::GET || request.uri().path() != "/" {
            return None;
        }
        let mut login = login.lock().unwrap_or_else(PoisonError::into_inner);
        if !login.as_ref().is_some_and(|nonce| nonce.is(offered)) {
            return Some(ProblemResponse(no_token()).into_response());
        }
        *login = None;
        let only_tls = if *secure { "; Secure" } else { "" };
        let cookie = format!("{SESSION_COOKIE}={}; Path=/; HttpOnly; SameSite=Strict{only_tls}", token.session());
        Some((StatusCode::SEE_OTHER, [(LOCATION, "/".to_owned()), (SET_COOKIE, cookie)]).into_response())
    }
}

pub(super) async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    if let Some(response) = guard.log_in(&request) {
        return response;
    }
    match guard.judge(request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => ProblemResponse(problem).into_response(),
    }
}

/// The host name that the request is for, in lower case. An absolute address in the request line must agree with it.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let mut all = headers.get_all(HOST).iter();
    let (Some(host), None) = (all.next(), all.next()) else { return None };
    let host = host.to_str().ok()?.to_lowercase();
    match uri.authority() {
        Some(authority) if authority.as_str().to_lowercase() != host => None,
        _ => Some(host),
    }
}

/// Which of the listener's names a request uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ours {
    /// Its own address.
    Direct,
    /// A name that the user allows, for example that of a proxy, which may add TLS.
    Allowed,
}

impl Ours {
    /// The schemes that an Origin of our own page can have.
    fn schemes(self, secure: bool) -> &'static [&'static str] {
        match self {
            _ if secure => &["https"],
            Self::Direct => &["http"],
            Self::Allowed => &["http", "https"],
        }
    }
}

fn ours(host: &str, listen: SocketAddr, secure: bool, allowed_hosts: &[String]) -> Option<Ours> {
    let port_suffix = format!(":{}", listen.port());
    let default_port = if secure { 443 } else { 80 };
    let (name, here) = match host.strip_suffix(&port_suffix) {
        Some(name) => (name, true),
        None => (host, listen.port() == default_port && !host.ends_with(']') && !host.contains(':')),
    };
    let known = matches!(name, "127.0.0.1" | "localhost" | "[::1]");
    // Only a name can be rebound, an address cannot. So a listener that is open to the network accepts any address.
    let address = || name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    let without_port = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if allowed_hosts.iter().any(|allowed| allowed == host || allowed == without_port) {
        Some(Ours::Allowed)
    } else {
        (here && (known || (!listen.ip().is_loopback() && address()))).then_some(Ours::Direct)
    }
}

fn has_bearer(token: &Token, headers: &HeaderMap) -> bool {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|offered| token.is(offered))
}

fn has_session(token: &Token, headers: &HeaderMap) -> bool {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookie| cookie.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.any(|(name, value)| name == SESSION_COOKIE && token.is_session(value))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn read_only(method: &Method) -> Problem {
    Problem::new(
        ProblemCode::MethodNotAllowed,
        "This server only allows reading.",
        format!("It has the role catalog, and {method} changes something."),
        "Use GET. Everything else needs a backend of the role shell.",
    )
}

fn private() -> Problem {
    Problem::new(
        ProblemCode::GuardToken,
        "This catalog is private.",
        "The request does not have a valid token.",
        "Send `Authorization: Bearer TOKEN`. A backend that lists this server needs the token as `auth`, under \
         `servers` in its configuration.",
    )
}

fn wrong_host(why: &str) -> Problem {
    Problem::new(
        ProblemCode::GuardHost,
        "This host name is not served here.",
        why,
        "Open the address that the backend printed, or start it with --allowed-host NAME.",
    )
}

fn cross_site() -> Problem {
    Problem::new(
        ProblemCode::GuardCrossSite,
        "Requests from other sites are refused.",
        "The browser reports that another site sent this request (Sec-Fetch-Site).",
        "Open the address of the shell directly. A program that is not a browser may call the API.",
    )
}

fn wrong_origin(why: &str) -> Problem {
    Problem::new(
        ProblemCode::GuardOrigin,
        "Only the shell's own page may do this.",
        format!("The request's origin is not ours: {why}."),
        "Open the address that the backend printed.",
    )
}

fn no_token() -> Problem {
    Problem::new(
        ProblemCode::GuardToken,
        "A token is needed.",
        "The backend can be reached from other computers, and the request does not have a valid token or session.",
        "Open the login address that the backend printed at its start, or send Authorization: Bearer TOKEN.",
    )
}

fn not_json() -> Problem {
    Problem::new(
        ProblemCode::GuardContentType,
        "The body is not of the right type.",
        "The request does not say that the body is application/json.",
        "Send it with Content-Type: application/json.",
    )
}

#[cfg(test)]
mod tests;
