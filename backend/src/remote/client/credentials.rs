//! What a server asks for before it answers. It is sent to that server's own origin only, and shown to nobody.

use std::fmt;

use reqwest::RequestBuilder;
use url::Url;

/// One of the two ways to say who asks.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    Bearer(String),
    Basic { user: String, password: String },
}

impl Credentials {
    /// Takes what people write before the host of an address, as in `http://user:password@host/`, out of it.
    pub fn take_from(url: &mut Url) -> Option<Self> {
        let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (user, password) = (decoded(url.username()), url.password().map(decoded));
        // Only an address without a host refuses this, and it has no credentials.
        let _ = (url.set_username(""), url.set_password(None));
        let given = !user.is_empty() || password.is_some();
        given.then(|| Self::Basic { user, password: password.unwrap_or_default() })
    }

    pub(super) fn on(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Bearer(token) => request.bearer_auth(token),
            Self::Basic { user, password } => request.basic_auth(user, Some(password)),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(…)",
            Self::Basic { .. } => "Basic(…)",
        })
    }
}
