//! The connections to servers: one client of the HTTP library for each way in which a server is reached and trusted.
//!
//! A client of the library has one TLS configuration, one proxy and one resolver, so a request whose rules differ in one
//! of them goes through another. Each is made when it is first needed, and kept with its open connections.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pixelrts_shared::text::LongText;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::{Proxy, redirect};
use url::Url;

use super::trust::{Authorities, Trust};
use crate::remote::egress::{Ours, PublicOnly};
use crate::remote::error::{Kind, TlsFault};

/// To open a connection, which includes finding the name and the handshake.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// More of them only remain after many changes of servers.
const MOST: usize = 256;

/// The way to a server.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Route {
    Direct,
    /// Only to public addresses, whatever the name resolves to.
    Public,
    Proxy(Url),
}

#[derive(Debug)]
pub(super) struct Connections {
    ours: Ours,
    authorities: Authorities,
    clients: Mutex<HashMap<(Trust, Route), reqwest::Client>>,
}

impl Connections {
    pub(super) fn new(ours: Ours) -> Self {
        Self { ours, authorities: Authorities::default(), clients: Mutex::default() }
    }

    pub(super) fn ours(&self) -> &Ours {
        &self.ours
    }

    pub(super) fn client(&self, trust: &Trust, route: &Route) -> Result<reqwest::Client, Kind> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&(trust.clone(), route.clone())) {
            return Ok(client.clone());
        }
        let client = self.make(trust, route)?;
        if clients.len() >= MOST {
            clients.clear();
        }
        clients.insert((trust.clone(), route.clone()), client.clone());
        Ok(client)
    }

    fn make(&self, trust: &Trust, route: &Route) -> Result<reqwest::Client, Kind> {
        let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
        let client = reqwest::Client::builder()
            .user_agent(concat!("pixelrts/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            // The client follows them itself.
            .redirect(redirect::Policy::none())
            .referer(false)
            // The environment is no business of the library.
            .no_proxy()
            .tls_backend_preconfigured(trust.config(&self.authorities).map_err(Kind::Tls)?);
        let unusable = |error: reqwest::Error| {
            let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            Kind::Tls(TlsFault::Handshake(LongText::new(&cause)))
        };
        let client = match route {
            Route::Direct => client,
            Route::Public => client.dns_resolver(Arc::new(PublicOnly(self.ours.clone()))),
            Route::Proxy(proxy) => client.proxy(Proxy::all(proxy.clone()).map_err(unusable)?),
        };
        client.build().map_err(unusable)
    }
}

/// A proxy may have a password.
impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "Direct",
            Self::Public => "Public",
            Self::Proxy(_) => "Proxy(…)",
        })
    }
}
