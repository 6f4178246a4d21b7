//! Finds out what kind of failure of the network an error of the HTTP library is.

use std::error::Error;
use std::io;
use std::time::Duration;

use pixelrts_shared::address::ShownAddress;
use pixelrts_shared::text::Text;
use rustls::{CertificateError, InvalidMessage};
use url::Url;

use super::{Kind, TlsFault};
use crate::remote::address::{host_of, shown};
use crate::remote::egress::Refusal;

/// The request that failed.
#[derive(Clone, Copy, Debug)]
pub(in crate::remote) struct Sent<'a> {
    pub(in crate::remote) url: &'a Url,
    pub(in crate::remote) proxy: Option<&'a ShownAddress>,
    /// The deadline that applied.
    pub(in crate::remote) limit: Duration,
}

/// What a link of the chain of causes says, where it says anything definite.
pub(in crate::remote) fn cause(error: &reqwest::Error, sent: Sent<'_>) -> Kind {
    let links = || std::iter::successors(error.source(), |link: &&(dyn Error + 'static)| (*link).source());
    let last = links().last().map_or_else(|| "it ended".to_owned(), ToString::to_string);
    // What the proxy does wrong is not the server's fault.
    if let Some(proxy) = sent.proxy
        && (error.is_connect() || links().any(|link| link.to_string().starts_with("tunnel error")))
        && !links().any(|link| tls(link).is_some())
    {
        let tunnel = links().map(ToString::to_string).find(|text| text.starts_with("tunnel error"));
        let why = match tunnel.as_deref() {
            Some("tunnel error: proxy authorization required") => "it asks for a name and a password",
            Some("tunnel error: unsuccessful") => "it refuses to connect to the server",
            _ => &last,
        };
        return Kind::Proxy { proxy: proxy.clone(), why: why.into() };
    }
    // What our own code refused is wrapped by others, which would say less.
    if let Some(refusal) = links().find_map(|link| unwrapped(link).downcast_ref::<Refusal>()) {
        return Kind::Egress(refusal.clone());
    }
    if let Some(fault) = links().find_map(tls) {
        return Kind::Tls(fault);
    }
    if let Some(kind) = links().find_map(|link| definite(link, sent)) {
        return kind;
    }
    if error.is_timeout() { Kind::Timeout(sent.limit) } else { Kind::Interrupted(Text::new(&last)) }
}

fn definite(link: &(dyn Error + 'static), sent: Sent<'_>) -> Option<Kind> {
    if let Some(error) = link.downcast_ref::<io::Error>() {
        return of_system(error, sent);
    }
    let text = link.to_string();
    if text.starts_with("dns error") {
        let links = std::iter::successors(link.source(), |link: &&(dyn Error + 'static)| (*link).source());
        let why = links.last().map_or(text, ToString::to_string);
        return Some(Kind::Dns { host: host_of(sent.url), why: Text::new(&why) });
    }
    // hyper tells its kinds of errors apart by their texts only.
    let garbled = ["invalid HTTP", "message head is too large"].iter().any(|start| text.starts_with(start));
    garbled.then(|| Kind::NotHttp(shown(sent.url)))
}

fn of_system(error: &io::Error, sent: Sent<'_>) -> Option<Kind> {
    let at = || host_of(sent.url);
    Some(match error.kind() {
        io::ErrorKind::ConnectionRefused => Kind::Refused(at()),
        io::ErrorKind::TimedOut => Kind::Timeout(sent.limit),
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::PermissionDenied => Kind::Unreachable { at: at(), why: Text::new(&error.to_string()) },
        _ => return None,
    })
}

fn tls(link: &(dyn Error + 'static)) -> Option<TlsFault> {
    let error = unwrapped(link).downcast_ref::<rustls::Error>()?;
    Some(match error {
        // Our own verifier says what it found.
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => match other.0.downcast_ref::<TlsFault>() {
            Some(fault) => fault.clone(),
            None => TlsFault::Handshake(error.to_string().into()),
        },
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
            TlsFault::NotTls
        }
        _ => TlsFault::Handshake(error.to_string().into()),
    })
}

/// An error of the system may carry another one, which its chain of causes leaves out.
fn unwrapped<'a>(mut link: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    while let Some(inner) = link.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        link = inner;
    }
    link
}
