//! What may be shown of an address, and the credentials that people write into one.

use pixelrts_shared::address::ShownAddress;
use pixelrts_shared::text::Text;
use url::Url;

/// An address without its secrets.
#[must_use]
pub fn shown(url: &Url) -> ShownAddress {
    let more = url.query().is_some() || url.fragment().is_some();
    ShownAddress::of_parts(&format!("{}://{}{}", url.scheme(), host_of(url), url.path()), more)
}

/// The host, with the port where it is not the usual one.
#[must_use]
pub fn host_of(url: &Url) -> Text {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}").into(),
        None => host.into(),
    }
}
