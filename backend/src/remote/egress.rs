//! Where a request may go that a server caused: the address of an image or a picture in its catalog, and each redirect.
//!
//! Somebody else writes these addresses, and this computer sends the requests. Without a rule a catalog could reach what
//! only this computer reaches: its own services, the devices of its network, the secrets that a cloud keeps at a
//! link-local address. The rule: a request goes *home*, that is to the server's own scheme, host and port or to an
//! origin that the operator allowed for it (`servers[].allow`), or to a public address. What a person types is home of
//! itself.
//!
//! An address literal is judged here. A name is judged by the addresses that it resolves to, at the moment of the
//! connection (`resolver`): a name that is checked first and resolved again later could mean something else by then.

mod address_class;
mod resolver;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use pixelrts_shared::address::ShownAddress;
use pixelrts_shared::text::Text;
use url::{Host, Url};

use super::address::{host_of, shown};
use address_class::not_public;
pub(super) use resolver::PublicOnly;

/// Scheme, host and port, as in `https://images.example.org`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin(String);

impl Origin {
    /// `None` when the address is neither http nor https.
    #[must_use]
    pub fn of(url: &Url) -> Option<Self> {
        is_web(url).then(|| Self(url.origin().ascii_serialization()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an allowed origin must look like.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an origin is a scheme, a host and a port, like http://10.0.0.5:9000")]
pub struct BadOrigin;

impl FromStr for Origin {
    type Err = BadOrigin;

    fn from_str(text: &str) -> Result<Self, BadOrigin> {
        let url = Url::parse(text.trim()).map_err(|_| BadOrigin)?;
        let bare = url.username().is_empty() && url.password().is_none() && url.path() == "/";
        let bare = bare && url.query().is_none() && url.fragment().is_none();
        Self::of(&url).filter(|_| bare).ok_or(BadOrigin)
    }
}

/// What an address is to the server that named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The server's own origin: its secret is sent along.
    Own,
    /// An origin that the operator has allowed for this server.
    Allowed,
    /// Any other: only public addresses are connected to.
    Public,
}

/// Why no request is sent to an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0}, which is neither http nor https")]
    Scheme(ShownAddress),
    /// `is` says what it is, as in "an address of a private network".
    #[error("{host}, which is {is}")]
    NotPublic { host: Text, is: &'static str },
}

/// Judges an address that the server at `home` named. `ours` are the addresses at which our own backend listens: they
/// are never public.
pub fn judge(home: &Url, allow: &[Origin], ours: &Ours, to: &Url) -> Result<Way, Refusal> {
    let origin = Origin::of(to).ok_or_else(|| Refusal::Scheme(shown(to)))?;
    if Origin::of(home).as_ref() == Some(&origin) {
        return Ok(Way::Own);
    }
    if allow.contains(&origin) {
        return Ok(Way::Allowed);
    }
    let literal = match to.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::from(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::from(address)),
        Some(Host::Domain(_)) | None => None,
    };
    match literal.and_then(|address| refused(address, &ours.addresses())) {
        Some(is) => Err(Refusal::NotPublic { host: host_of(to), is }),
        None => Ok(Way::Public),
    }
}

/// What an address is that no server may lead to.
fn refused(address: IpAddr, ours: &[IpAddr]) -> Option<&'static str> {
    not_public(address).or_else(|| ours.contains(&address).then_some("an address of this backend itself"))
}

/// The addresses at which our own backend listens, on every port: a name does not say which port is meant.
#[derive(Clone, Debug, Default)]
pub struct Ours(Arc<[SocketAddr]>);

impl Ours {
    #[must_use]
    pub fn new(listeners: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self(listeners.into_iter().collect())
    }

    /// A listener on all addresses has those that the computer has now.
    fn addresses(&self) -> Vec<IpAddr> {
        let (all, named): (Vec<_>, Vec<_>) = self.0.iter().map(SocketAddr::ip).partition(IpAddr::is_unspecified);
        let interfaces = (!all.is_empty()).then(nix::ifaddrs::getifaddrs).and_then(Result::ok).into_iter().flatten();
        let of_interfaces = interfaces.filter_map(|interface| {
            let address = interface.address?;
            let four = address.as_sockaddr_in().map(|four| IpAddr::from(four.ip()));
            four.or_else(|| address.as_sockaddr_in6().map(|six| IpAddr::from(six.ip())))
        });
        named.into_iter().chain(of_interfaces).collect()
    }
}

#[cfg(test)]
mod tests;
