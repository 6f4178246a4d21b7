//! What can go wrong with a server. The cases are told apart because each of them has another fix.

mod cause;
mod tls;

use std::time::Duration;

use pixelrts_shared::address::ShownAddress;
use pixelrts_shared::text::{LongText, Text};
use pixelrts_shared::{Digest, Problem, ProblemCode};
use reqwest::StatusCode;

use super::egress::Refusal;
use crate::cache::CacheError;
pub(super) use cause::{Sent, cause};
pub(super) use tls::TlsFault;

/// A failure with the server's name for people, as in `office` or `images.example.org:8080`.
#[derive(Debug, thiserror::Error)]
#[error("{server}: {kind}")]
pub struct RemoteError {
    pub server: Text,
    pub kind: Kind,
}

/// Words in it that came from the server are cleaned; addresses in it hold no secret.
#[derive(Debug, thiserror::Error)]
pub enum Kind {
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// It had begun to send.
    #[error("it has sent nothing more for {} s", .0.as_secs())]
    Stalled(Duration),
    #[error("it sent {} kB/s over {} s", bytes_per_second / 1000, over.as_secs())]
    TooSlow { bytes_per_second: u64, over: Duration },
    /// Of the server, or of where it leads.
    #[error("the name {host} cannot be found: {why}")]
    Dns { host: Text, why: Text },
    #[error("nothing listens at {0}")]
    Refused(Text),
    #[error("no way leads to {at}: {why}")]
    Unreachable { at: Text, why: Text },
    #[error("the connection broke: {0}")]
    Interrupted(Text),
    #[error("{0}")]
    Tls(TlsFault),
    /// Often a server that expects TLS.
    #[error("what answers at {0} is not HTTP")]
    NotHttp(ShownAddress),
    /// It says so itself, in plain HTTP.
    #[error("what answers at {0} expects https")]
    NeedsTls(ShownAddress),
    #[error("the proxy {proxy}: {why}")]
    Proxy { proxy: ShownAddress, why: Text },
    #[error("{0}")]
    Egress(Refusal),
    #[error("{0}")]
    Redirect(LongText),
    #[error("nothing was found at {0}")]
    NotFound(ShownAddress),
    #[error("what was at {0} has been removed for good")]
    Gone(ShownAddress),
    #[error("it answered with the HTTP status {}", in_words(*.0))]
    Denied(u16),
    /// It asks to come back later; `wait` is how much later, where it says so.
    #[error("it answered with the HTTP status {}{}", in_words(*status), asked(*wait))]
    Busy { status: u16, wait: Option<Duration> },
    #[error("it answered with the HTTP status {}", in_words(*.0))]
    Status(u16),
    #[error("{address} is a web page{}", titled(title))]
    WebPage { address: ShownAddress, title: Option<Text> },
    #[error("{0}")]
    BadCatalog(LongText),
    /// The catalog has a format of the future.
    #[error("its catalog has the format {found}, this version reads {reads}")]
    Version { found: u64, reads: u32 },
    #[error("{0}")]
    BadReply(LongText),
    /// The bytes are another kind of picture, as in "a WebP picture".
    #[error("the bytes are {0}")]
    AnotherPicture(&'static str),
    /// More or fewer bytes than the catalog announces.
    #[error("the image has {found} bytes, but the catalog announces {expected}")]
    Length { expected: u64, found: u64 },
    /// Nobody has promised anything, and the server contradicts itself.
    #[error("it announces {announced} bytes and ends after {found}")]
    Announced { announced: u64, found: u64 },
    #[error("the SHA-256 of the received bytes is {found}, but the catalog promises {expected}")]
    Mismatch { expected: Digest, found: Digest },
    #[error(transparent)]
    Cache(CacheError),
}

fn asked(wait: Option<Duration>) -> String {
    wait.map(|wait| format!(" and asks to wait {} s", seconds(wait))).unwrap_or_default()
}

/// A part of a second counts as one, so that nobody comes too early.
pub(super) fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// The number of a status with what it means, where it is one that is in use.
fn in_words(status: u16) -> String {
    match StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()) {
        Some(words) => format!("{status} ({words})"),
        None => status.to_string(),
    }
}

fn titled(title: &Option<Text>) -> String {
    title.as_ref().map(|title| format!(" with the title \"{title}\"")).unwrap_or_default()
}

impl RemoteError {
    pub(super) fn new(server: &str, kind: Kind) -> Self {
        Self { server: server.into(), kind }
    }

    /// Whether the same request may succeed in a moment.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match &self.kind {
            Kind::Timeout(_)
            | Kind::Stalled(_)
            | Kind::TooSlow { .. }
            | Kind::Dns { .. }
            | Kind::Refused(_)
            | Kind::Unreachable { .. }
            | Kind::Interrupted(_)
            | Kind::Proxy { .. }
            | Kind::Busy { .. } => true,
            Kind::Status(status) => *status >= 500 || matches!(status, 408 | 425),
            Kind::Tls(_)
            | Kind::NotHttp(_)
            | Kind::NeedsTls(_)
            | Kind::Egress(_)
            | Kind::Redirect(_)
            | Kind::NotFound(_)
            | Kind::Gone(_)
            | Kind::Denied(_)
            | Kind::WebPage { .. }
            | Kind::BadCatalog(_)
            | Kind::Version { .. }
            | Kind::BadReply(_)
            | Kind::AnotherPicture(_)
            | Kind::Length { .. }
            | Kind::Announced { .. }
            | Kind::Mismatch { .. }
            | Kind::Cache(_) => false,
        }
    }

    /// How long the server asks to wait before the next request.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        match self.kind {
            Kind::Busy { wait, .. } => wait,
            _ => None,
        }
    }
}

impl From<RemoteError> for Problem {
    fn from(RemoteError { server, kind }: RemoteError) -> Self {
        let why = kind.to_string();
        match kind {
            Kind::Timeout(_) => Self::new(
                ProblemCode::NetworkTimeout,
                format!("{server} does not answer."),
                why,
                "Check that the server is running and can be reached from here. A firewall may drop the packets.",
            ),
            Kind::Stalled(_) => Self::new(
                ProblemCode::NetworkStalled,
                format!("{server} has stopped sending."),
                why,
                "Check the connection to the server. What has been downloaded is kept, and the download continues from there.",
            ),
            Kind::TooSlow { .. } => Self::new(
                ProblemCode::NetworkTooSlow,
                format!("{server} is too slow."),
                why,
                "Nothing has to be done: another server is tried. Give a faster server a lower priority number, so that it is tried first.",
            ),
            Kind::Dns { .. } => Self::new(
                ProblemCode::NetworkDns,
                format!("{server} cannot be found."),
                why,
                "Check the spelling of its address, and whether this computer has a network connection.",
            ),
            Kind::Refused(_) => Self::new(
                ProblemCode::NetworkRefused,
                format!("{server} refused the connection."),
                why,
                "Start the server there, or correct the port of its address.",
            ),
            Kind::Unreachable { .. } => Self::new(
                ProblemCode::NetworkUnreachable,
                format!("{server} cannot be reached."),
                why,
                "Check the network connection of this computer, its firewall, and whether the server is in another network.",
            ),
            Kind::Interrupted(_) => Self::new(
                ProblemCode::NetworkInterrupted,
                format!("The connection to {server} broke."),
                why,
                "Try again. What has been downloaded is kept, and the download continues from there.",
            ),
            Kind::Tls(fault) => tls::FaultOf { server: &server, fault }.into(),
            Kind::NotHttp(_) => Self::new(
                ProblemCode::NetworkNotHttp,
                format!("{server} does not speak HTTP."),
                why,
                "If the server uses TLS, write https:// instead of http:// in its address. Otherwise correct the port.",
            ),
            Kind::NeedsTls(_) => Self::new(
                ProblemCode::NetworkNotHttp,
                format!("{server} expects https."),
                why,
                "Write https:// instead of http:// in its address.",
            ),
            Kind::Proxy { .. } => Self::new(
                ProblemCode::NetworkProxy,
                format!("The proxy on the way to {server} failed."),
                why,
                "Correct the variables http_proxy and https_proxy, or name the servers that need no proxy in no_proxy.",
            ),
            Kind::Egress(_) => Self::new(
                ProblemCode::EgressRefused,
                format!("{server} leads to an address that it may not lead to."),
                format!("It leads to {why}. Only a server that is there itself may lead there."),
                "If you trust it, allow the address's scheme, host and port for this server: `allow` under servers in the configuration.",
            ),
            Kind::Redirect(_) => Self::new(
                ProblemCode::BadRedirect,
                format!("{server} redirects to an address that is not followed."),
                why,
                "Enter the final address of the server, or ask the person who runs it to correct the redirect.",
            ),
            Kind::NotFound(_) => Self::new(
                ProblemCode::RemoteNotFound,
                format!("{server} does not have what was requested."),
                why,
                "Check the address. An image that was removed there disappears from the list within a minute.",
            ),
            Kind::Gone(_) => Self::new(
                ProblemCode::RemoteGone,
                format!("{server} no longer has what was requested."),
                why,
                "Use another server. An image that was removed there disappears from the list within a minute.",
            ),
            Kind::Denied(_) => Self::new(
                ProblemCode::RemoteDenied,
                format!("{server} denies access."),
                why,
                "Set what the server asks for, under servers in the configuration: its token as `auth`, or `user` and `password`. \
                 For a single address, write http://USER:PASSWORD@HOST/...",
            ),
            Kind::Busy { .. } => Self::new(
                ProblemCode::RemoteBusy,
                format!("{server} is busy."),
                why,
                "Try again later. A download tries again by itself, when the server asks for it.",
            ),
            // Networks that ask for a login answer so in place of the server.
            Kind::Status(511) => Self::new(
                ProblemCode::RemoteFailed,
                format!("The network on the way to {server} asks you to log in."),
                why,
                "Open a web page in a browser, log in, and try again.",
            ),
            Kind::Status(500..) => Self::new(
                ProblemCode::RemoteFailed,
                format!("{server} failed."),
                why,
                "Try again later, or ask the person who runs that server.",
            ),
            Kind::Status(status) => Self::new(
                ProblemCode::RemoteUnexpected,
                match status {
                    400.. => format!("{server} refused the request."),
                    _ => format!("{server} did not send what was requested."),
                },
                why,
                "Check that the address is that of a catalog server or of an image, and whether a proxy is on the way.",
            ),
            Kind::WebPage { .. } => Self::new(
                ProblemCode::RemoteWebPage,
                format!("{server} sent a web page instead of what was requested."),
                why,
                "Open the address in a browser: the network or the server may ask you to log in. Otherwise correct the address.",
            ),
            Kind::BadCatalog(_) => Self::new(
                ProblemCode::BadCatalog,
                format!("The catalog of {server} cannot be used."),
                why,
                "Check that the address is that of a catalog server, or ask the person who runs it to build its catalog again.",
            ),
            Kind::Version { .. } => Self::new(
                ProblemCode::CatalogVersion,
                format!("The catalog of {server} is for another version of PixelRTS."),
                why,
                "Install a newer version of PixelRTS.",
            ),
            Kind::BadReply(_) => Self::new(
                ProblemCode::BadReply,
                format!("The answer of {server} cannot be understood."),
                why,
                "Ask the person who runs that server, or fetch from another server.",
            ),
            Kind::AnotherPicture(_) => Self::new(
                ProblemCode::AnotherPicture,
                format!("{server} sent something else than the image."),
                why,
                "Check that the address is that of an image. A program on the way may have changed it: then fetch it \
                 from another server, or ask the person who runs this one to send the files as they are.",
            ),
            Kind::Length { expected, found } => Self::new(
                ProblemCode::WrongLength,
                format!("{server} sent another image than its catalog promises."),
                why,
                "Wait a minute, until the catalog has been read again, then try again; or fetch from another server.",
            )
            .context(format!("expected {expected} bytes, found {found}")),
            Kind::Announced { announced, found } => Self::new(
                ProblemCode::WrongLength,
                format!("{server} announces another length than it sends."),
                why,
                "Fetch from another server, or ask the person who runs this one: the file there may be damaged, or a \
                 program on the way may change the length.",
            )
            .context(format!("expected {announced} bytes, found {found}")),
            Kind::Mismatch { expected, found } => Self::new(
                ProblemCode::HashMismatch,
                format!("{server} sent another image than its catalog promises."),
                format!("{why}; nothing of it was kept."),
                "Do not use this image. Tell the person who runs that server, or fetch from another server.",
            )
            .context(format!("expected {expected}, found {found}, server {server}")),
            // It was never a file of this computer, so there is nothing to remove.
            Kind::Cache(CacheError::NotAnImage(problem)) => Self::new(
                problem.code,
                format!("{server} sent an image that cannot be used."),
                format!("{} {}", problem.what, problem.why),
                "Ask the person who runs that server for a whole image, or fetch it from another one. Nothing of this one \
                 was kept.",
            ),
            Kind::Cache(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests;
